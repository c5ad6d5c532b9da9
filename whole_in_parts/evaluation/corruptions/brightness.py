"""Brightness: the constants are added to the value of each pixel in HSV.

The value is a pixel's largest channel. Scaling all channels by the same factor keeps hue and saturation.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CONSTANTS = {
    "ImageNet-C": (0.1, 0.2, 0.3, 0.4, 0.5),
    "Tiny-ImageNet-C": (0.1, 0.2, 0.3, 0.4, 0.5),
    "CIFAR-C": (0.05, 0.1, 0.15, 0.2, 0.3),
}


def apply(images_BCHW: Tensor, increase: float, indices: NDArray[np.int64], severity: int) -> Tensor:
    value_B1HW = images_BCHW.amax(1, keepdim=True)
    raised_B1HW = (value_B1HW + increase).clamp(max=1)
    # A black pixel has no hue: it becomes grey.
    return torch.where(value_B1HW > 0, images_BCHW * (raised_B1HW / value_B1HW), raised_B1HW)
