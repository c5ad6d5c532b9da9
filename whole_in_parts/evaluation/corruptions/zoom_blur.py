"""Zoom blur: the mean of an image and of its middle, enlarged; the constants are the factors' end and step, from 1."""

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
    """The factor 1 is among the factors, so that the image itself counts twice."""
    end, step = constant
    # numpy's own range, whose rounding errors decide whether the end is a factor
    factors = np.arange(1, end, step).tolist()
    total_BCHW = images_BCHW.clone()
    for factor in factors:
        total_BCHW += zoomed(images_BCHW, factor)
    return total_BCHW / (len(factors) + 1)


def zoomed(images_BCHW: Tensor, factor: float) -> Tensor:
    """The middle of images, enlarged linearly to their size, corner pixel to corner pixel as scipy's `zoom` does."""
    size = images_BCHW.shape[-1]
    cut = math.ceil(size / factor)
    first, enlarged = (size - cut) // 2, round(cut * factor)
    middle_BCHW = images_BCHW[..., first : first + cut, first : first + cut]
    large_BCHW = F.interpolate(middle_BCHW, (enlarged, enlarged), mode="bilinear", align_corners=True)
    first = (enlarged - size) // 2
    return large_BCHW[..., first : first + size, first : first + size]
