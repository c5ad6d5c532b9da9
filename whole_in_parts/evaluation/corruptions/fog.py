"""Fog: a fractal of clouds is added, and the contrast lowered; the constants are its thickness and how fast it smooths.

The clouds are a height map by the diamond-square algorithm, as large as the next power of two from the image's size.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.evaluation.corruptions._draws import uniform

CONSTANTS = {
    "ImageNet-C": ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
    "Tiny-ImageNet-C": ((0.4, 3), (0.7, 3), (1, 2.5), (1.5, 2), (2, 1.75)),
    "CIFAR-C": ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
}
ROUGHNESS = 100


def apply(images_BCHW: Tensor, constant: tuple[float, float], indices: NDArray[np.int64], severity: int) -> Tensor:
    thickness, decay = constant
    size = images_BCHW.shape[-1]
    extent = 1 << (size - 1).bit_length()
    drawn_BMM = uniform(indices, (extent, extent), "fog", severity).to(images_BCHW.device)
    clouds_B1HW = clouds(drawn_BMM, decay)[:, None, :size, :size]
    brightest_B111 = images_BCHW.amax((1, 2, 3), keepdim=True)
    return (images_BCHW + thickness * clouds_B1HW) * brightest_B111 / (brightest_B111 + thickness)


def clouds(drawn_BMM: Tensor, decay: float) -> Tensor:
    """Height maps (B, M, M) from 0 to 1 that repeat at their edges, of a number in [0, 1) for each place.

    In each turn the middles of squares, then of their sides, become the mean of the four places around them and a
    random number, whose range shrinks by the square of `decay`: the released code multiplies by it twice.
    """
    heights_BMM = torch.zeros_like(drawn_BMM)
    step, range_ = drawn_BMM.shape[-1], float(ROUGHNESS)
    while step >= 2:
        half, noise_BMM = step // 2, range_**2 * (2 * drawn_BMM - 1)
        corners, middles = (heights_BMM[:, first::step, first::step] for first in (0, half))
        below = corners + corners.roll(-1, 1)
        middles[:] = (below + below.roll(-1, 2)) / 4 + noise_BMM[:, half::step, half::step]
        across = middles + middles.roll(1, 1) + corners + corners.roll(-1, 2)
        heights_BMM[:, 0::step, half::step] = across / 4 + noise_BMM[:, 0::step, half::step]
        upright = middles + middles.roll(1, 2) + corners + corners.roll(-1, 1)
        heights_BMM[:, half::step, 0::step] = upright / 4 + noise_BMM[:, half::step, 0::step]
        step, range_ = half, range_ / decay
    heights_BMM -= heights_BMM.amin((1, 2), keepdim=True)
    return heights_BMM / heights_BMM.amax((1, 2), keepdim=True)
