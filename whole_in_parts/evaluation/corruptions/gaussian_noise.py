"""Gaussian noise: the constants are its standard deviation."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.evaluation.corruptions._draws import normal

CONSTANTS = {
    "ImageNet-C": (0.08, 0.12, 0.18, 0.26, 0.38),
    "Tiny-ImageNet-C": (0.04, 0.08, 0.12, 0.15, 0.18),
    "CIFAR-C": (0.04, 0.06, 0.08, 0.09, 0.10),
}


def apply(images_BCHW: Tensor, sigma: float, indices: NDArray[np.int64], severity: int) -> Tensor:
    noise_BCHW = normal(indices, images_BCHW.shape[1:], "gaussian_noise", severity)
    return images_BCHW + sigma * noise_BCHW.to(images_BCHW.device)
