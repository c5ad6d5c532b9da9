"""Motion blur along a line whose angle is drawn between −45° and 45°; the constants are a radius and a deviation.

It is ImageMagick's MotionBlurImage, which the released sets were made with: of twice the radius and a pixel, half a
Gaussian, from the pixel itself on to one side. Beyond an image is its last pixel. Its result is rounded to 8 bits.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.evaluation.corruptions._draws import uniform

CONSTANTS = {
    "ImageNet-C": ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
    "Tiny-ImageNet-C": ((10, 1), (10, 1.5), (10, 2), (10, 2.5), (12, 3)),
    "CIFAR-C": ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
}


def apply(images_BCHW: Tensor, constant: tuple[int, float], indices: NDArray[np.int64], severity: int) -> Tensor:
    angles_B = 90 * uniform(indices, (), "motion_blur", severity) - 45
    return moved(images_BCHW, angles_B, *constant).mul(255).round() / 255


def moved(images_BCHW: Tensor, angles_B: Tensor, radius: int, sigma: float) -> Tensor:
    """Images blurred along lines of some angles, in degrees, clockwise from the right."""
    size = images_BCHW.shape[-1]
    steps_K = torch.arange(2 * radius + 1, dtype=torch.float64)
    weights_K = torch.exp(-(steps_K**2) / (2 * sigma**2))
    weights_K = weights_K / weights_K.sum()
    angles_B1 = angles_B.deg2rad()[:, None]
    rows_KBS, columns_KBS = (
        (((steps_K * way_B1 - 0.5).ceil().long().T[..., None]) + torch.arange(size))
        .clamp(0, size - 1)
        .to(images_BCHW.device)
        for way_B1 in (angles_B1.sin(), angles_B1.cos())
    )
    pixels_BCP = images_BCHW.flatten(2)
    total_BCP = torch.zeros_like(pixels_BCP)
    for weight, rows_BS, columns_BS in zip(weights_K.tolist(), rows_KBS, columns_KBS, strict=True):
        places_BP = (rows_BS[:, :, None] * size + columns_BS[:, None]).flatten(1)
        total_BCP += weight * pixels_BCP.gather(2, places_BP[:, None].expand_as(pixels_BCP))
    return total_BCP.view_as(images_BCHW)
