"""Zoom blur: the mean of the image and its zooms; the constants are the end and the step of the zoom factors."""

import math

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

CONSTANTS = {
    "ImageNet-C": ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
    "Tiny-ImageNet-C": ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
    "CIFAR-C": ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
}


def apply(images_BCHW: Tensor, constant: tuple[float, float], indices: NDArray[np.int64], severity: int) -> Tensor:
    """Average the image and its zooms by factors from 1; with the factor 1, the image itself counts twice."""
    end, step = constant
    # As in the released code: rounding errors of `np.arange` decide whether the end is a factor.
    factors = np.arange(1, end, step).tolist()

    total_BCHW = images_BCHW.clone()
    for factor in factors:
        total_BCHW += zoom(images_BCHW, factor)
    return total_BCHW / (len(factors) + 1)


def zoom(images_BCHW: Tensor, factor: float) -> Tensor:
    """Enlarge the centre of images to their size, linearly, with aligned corner pixels as scipy's `zoom`."""
    size = images_BCHW.shape[-1]
    cut = math.ceil(size / factor)

    first = (size - cut) // 2
    centre_BCHW = images_BCHW[..., first : first + cut, first : first + cut]
    enlarged = round(cut * factor)
    large_BCHW = F.interpolate(centre_BCHW, (enlarged, enlarged), mode="bilinear", align_corners=True)

    first = (enlarged - size) // 2
    return large_BCHW[..., first : first + size, first : first + size]
