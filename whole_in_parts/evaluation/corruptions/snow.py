"""Snow: the image is blended with a paler one, and flakes are added: thresholded noise, zoomed and motion-blurred.

The constants are the mean and standard deviation of the noise, the zoom factor, the threshold, the radius and standard
deviation of the motion blur in pixels, and the weight of the original image.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.evaluation.corruption import truncate_to_8_bit
from whole_in_parts.evaluation.corruptions._draws import normal, uniform
from whole_in_parts.evaluation.corruptions.motion_blur import blur_along_line
from whole_in_parts.evaluation.corruptions.zoom_blur import zoom

Constant = tuple[float, float, float, float, int, float, float]

CONSTANTS: dict[str, tuple[Constant, ...]] = {
    "ImageNet-C": (
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    ),
    "Tiny-ImageNet-C": (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.8),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.8),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.7),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.65),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.6),
    ),
    "CIFAR-C": (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ),
}
GREY = (0.299, 0.587, 0.114)
"""The weights of red, green and blue in grey (ITU-R BT.601)."""


def apply(images_BCHW: Tensor, constant: Constant, indices: NDArray[np.int64], severity: int) -> Tensor:
    layer_B1HW = draw_flakes(images_BCHW, constant, indices, severity)
    kept = constant[-1]
    pale_BCHW = torch.maximum(images_BCHW, to_grey(images_BCHW) * 1.5 + 0.5)
    return kept * images_BCHW + (1 - kept) * pale_BCHW + layer_B1HW + layer_B1HW.rot90(2, (2, 3))


def draw_flakes(images_BCHW: Tensor, constant: Constant, indices: NDArray[np.int64], severity: int) -> Tensor:
    """Draw flakes (B, 1, S, S), falling within 45° of vertical, of 8 bits before and after the motion blur."""
    mean, deviation, factor, threshold, radius, sigma, _ = constant
    noise_B1HW = mean + deviation * normal(indices, (1, *images_BCHW.shape[2:]), "snow", severity)
    layer_B1HW = zoom(noise_B1HW.to(images_BCHW.device), factor)
    layer_B1HW = truncate_to_8_bit(layer_B1HW.where(layer_B1HW >= threshold, 0).clamp(0, 1))

    angles_B = 90 * uniform(indices, (), "snow", severity, "angle") - 135
    return blur_along_line(layer_B1HW, angles_B, radius, sigma).mul(255).round() / 255


def to_grey(images_BCHW: Tensor) -> Tensor:
    """Convert images to grey, (B, 1, S, S); grey images are unchanged."""
    if images_BCHW.shape[1] == 1:
        return images_BCHW
    return (images_BCHW * images_BCHW.new_tensor(GREY)[:, None, None]).sum(1, keepdim=True)
