"""Impulse noise, or salt and pepper: the constants are the share of values set to 0 or 1, half of them each."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.evaluation.corruptions._draws import uniform

CONSTANTS = {
    "ImageNet-C": (0.03, 0.06, 0.09, 0.17, 0.27),
    "Tiny-ImageNet-C": (0.01, 0.02, 0.05, 0.08, 0.14),
    "CIFAR-C": (0.01, 0.02, 0.03, 0.05, 0.07),
}


def apply(images_BCHW: Tensor, share: float, indices: NDArray[np.int64], severity: int) -> Tensor:
    drawn_BCHW = uniform(indices, images_BCHW.shape[1:], "impulse_noise", severity).to(images_BCHW.device)
    salt_BCHW = (drawn_BCHW < share / 2).double()
    return torch.where(drawn_BCHW < share, salt_BCHW, images_BCHW)
