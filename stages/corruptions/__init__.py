"""Corruptions of images, one file each, at the constants that Hendrycks and Dietterich (2019, arXiv:1903.12261)
published for images of a size: ImageNet-C from 224 px, Tiny-ImageNet-C from 64 px, CIFAR-C below."""

import importlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

SEVERITIES = range(1, 6)


def corrupt(name: str, images_BCHW: "Tensor", severity: int, numbers: NDArray[np.int64]) -> "Tensor":
    """Images (B, C, H, W) in [0, 1], corrupted as the file `name` of this folder says.

    The noise of an image is a function of its sample number and of the severity alone.
    """
    module = importlib.import_module(f"stages.corruptions.{name}")
    constant = module.CONSTANTS[released_as(images_BCHW.shape[-1])][severity - 1]
    return module.apply(images_BCHW, constant, numbers, severity).clamp(0, 1)


def released_as(size: int) -> str:
    """The released set whose constants are for images of this size."""
    return "ImageNet-C" if size >= 224 else "Tiny-ImageNet-C" if size >= 64 else "CIFAR-C"
