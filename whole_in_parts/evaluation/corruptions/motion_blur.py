"""Motion blur along a line with a random angle in [−45°, 45°); the constants are the radius and standard deviation.

This is ImageMagick's MotionBlurImage, which the released sets were made with. The kernel is half a Gaussian of
2 · radius + 1 pixels, from the pixel itself to one side. Images are padded with their edge pixels; the result is
rounded to 8 bits.
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
    return blur_along_line(images_BCHW, angles_B, *constant).mul(255).round() / 255


def blur_along_line(images_BCHW: Tensor, angles_B: Tensor, radius: int, sigma: float) -> Tensor:
    """Blur each image along a line of its angle, in degrees, clockwise from the right."""
    size = images_BCHW.shape[-1]
    steps_K = torch.arange(2 * radius + 1, dtype=torch.float64)
    weights_K = torch.exp(-(steps_K**2) / (2 * sigma**2))
    weights_K = weights_K / weights_K.sum()

    # The rows and columns that step k reads, clamped to the image.
    angles_B1 = angles_B.deg2rad()[:, None]
    rows_KBS, columns_KBS = (
        (((steps_K * direction_B1 - 0.5).ceil().long().T[..., None]) + torch.arange(size))
        .clamp(0, size - 1)
        .to(images_BCHW.device)
        for direction_B1 in (angles_B1.sin(), angles_B1.cos())
    )

    pixels_BCP = images_BCHW.flatten(2)
    total_BCP = torch.zeros_like(pixels_BCP)
    for weight, rows_BS, columns_BS in zip(weights_K.tolist(), rows_KBS, columns_KBS, strict=True):
        indices_BP = (rows_BS[:, :, None] * size + columns_BS[:, None]).flatten(1)
        total_BCP += weight * pixels_BCP.gather(2, indices_BP[:, None].expand_as(pixels_BCP))
    return total_BCP.view_as(images_BCHW)
