"""Fog: fractal clouds are added and the contrast is lowered; the constants are thickness and decay of roughness.

The clouds are a height map by the diamond-square algorithm, whose side is the image's, rounded up to a power of two.
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
    clouds_B1HW = diamond_square(drawn_BMM, decay)[:, None, :size, :size]
    brightest_B111 = images_BCHW.amax((1, 2, 3), keepdim=True)
    return (images_BCHW + thickness * clouds_B1HW) * brightest_B111 / (brightest_B111 + thickness)


def diamond_square(drawn_BMM: Tensor, decay: float) -> Tensor:
    """Generate periodic height maps (B, M, M) in [0, 1] from a uniform number in [0, 1) for each position.

    At each scale, the centres of squares and then the middles of their sides become the mean of their four neighbours
    plus noise. The range of the noise shrinks by decay² from scale to scale, as in the released code, which multiplies
    by the range twice.
    """
    heights_BMM = torch.zeros_like(drawn_BMM)
    step = drawn_BMM.shape[-1]
    noise_range = float(ROUGHNESS)

    while step >= 2:
        half = step // 2
        noise_BMM = noise_range**2 * (2 * drawn_BMM - 1)
        corners, middles = (heights_BMM[:, first::step, first::step] for first in (0, half))

        # The centres of the squares, from their four corners.
        below = corners + corners.roll(-1, 1)
        middles[:] = (below + below.roll(-1, 2)) / 4 + noise_BMM[:, half::step, half::step]

        # The middles of horizontal and of vertical sides, from two corners and two centres.
        across = middles + middles.roll(1, 1) + corners + corners.roll(-1, 2)
        heights_BMM[:, 0::step, half::step] = across / 4 + noise_BMM[:, 0::step, half::step]
        upright = middles + middles.roll(1, 2) + corners + corners.roll(-1, 1)
        heights_BMM[:, half::step, 0::step] = upright / 4 + noise_BMM[:, half::step, 0::step]

        step = half
        noise_range = noise_range / decay

    heights_BMM -= heights_BMM.amin((1, 2), keepdim=True)
    return heights_BMM / heights_BMM.amax((1, 2), keepdim=True)
