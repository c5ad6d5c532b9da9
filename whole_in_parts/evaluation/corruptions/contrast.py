"""Contrast: the constants scale the distance of each value to the mean of its channel in the image."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

CONSTANTS = {
    "ImageNet-C": (0.4, 0.3, 0.2, 0.1, 0.05),
    "Tiny-ImageNet-C": (0.4, 0.3, 0.2, 0.1, 0.05),
    "CIFAR-C": (0.75, 0.5, 0.4, 0.3, 0.15),
}


def apply(images_BCHW: Tensor, factor: float, indices: NDArray[np.int64], severity: int) -> Tensor:
    mean_BC11 = images_BCHW.mean((2, 3), keepdim=True)
    return (images_BCHW - mean_BC11) * factor + mean_BC11
