"""Gaussian noise: the constants are its standard deviations."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.images.randomness import uniforms

CONSTANTS = {
    "ImageNet-C": (0.08, 0.12, 0.18, 0.26, 0.38),
    "Tiny-ImageNet-C": (0.04, 0.08, 0.12, 0.15, 0.18),
    "CIFAR-C": (0.04, 0.06, 0.08, 0.09, 0.10),
}


def apply(images_BCHW: Tensor, sigma: float, numbers: NDArray[np.int64], severity: int) -> Tensor:
    return images_BCHW + sigma * normals(numbers, images_BCHW.shape[1:], severity).to(images_BCHW.device)


def normals(numbers: NDArray[np.int64], shape: torch.Size, severity: int) -> Tensor:
    """Standard normal numbers (B, *shape), by Box and Muller's transform of uniform ones."""
    pixels = numbers[:, None] * shape.numel() + np.arange(shape.numel())
    radius, angle = (uniforms(pixels, "gaussian_noise", severity, part) for part in ("radius", "angle"))
    values = np.sqrt(-2 * np.log1p(-radius)) * np.cos(2 * np.pi * angle)
    return torch.from_numpy(values).float().view(len(numbers), *shape)
