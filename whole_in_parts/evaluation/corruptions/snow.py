"""Snow: a paler image, and flakes, which are normal numbers above a threshold, enlarged and blurred along a line.

The constants are the mean and deviation of the numbers, how many times they are enlarged, the threshold, the radius and
deviation of the motion blur in pixels, and how much of the image stays as it is.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.evaluation.corruption import truncate_to_8_bit
from whole_in_parts.evaluation.corruptions._draws import normal, uniform
from whole_in_parts.evaluation.corruptions.motion_blur import moved
from whole_in_parts.evaluation.corruptions.zoom_blur import zoomed

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
"""How much of red, green and blue is in grey (ITU-R BT.601)."""


def apply(images_BCHW: Tensor, constant: Constant, indices: NDArray[np.int64], severity: int) -> Tensor:
    layer_B1HW = flakes(images_BCHW, constant, indices, severity)
    kept = constant[-1]
    pale_BCHW = torch.maximum(images_BCHW, grey(images_BCHW) * 1.5 + 0.5)
    return kept * images_BCHW + (1 - kept) * pale_BCHW + layer_B1HW + layer_B1HW.rot90(2, (2, 3))


def flakes(images_BCHW: Tensor, constant: Constant, indices: NDArray[np.int64], severity: int) -> Tensor:
    """Layers of snow (B, 1, S, S) that falls within 45° of straight, in 8 bits before and after the motion blur."""
    mean, deviation, factor, threshold, radius, sigma, _ = constant
    drawn_B1HW = mean + deviation * normal(indices, (1, *images_BCHW.shape[2:]), "snow", severity)
    layer_B1HW = zoomed(drawn_B1HW.to(images_BCHW.device), factor)
    layer_B1HW = truncate_to_8_bit(layer_B1HW.where(layer_B1HW >= threshold, 0).clamp(0, 1))
    angles_B = 90 * uniform(indices, (), "snow", severity, "angle") - 135
    return moved(layer_B1HW, angles_B, radius, sigma).mul(255).round() / 255


def grey(images_BCHW: Tensor) -> Tensor:
    """The grey (B, 1, S, S) of images; grey ones are their own."""
    if images_BCHW.shape[1] == 1:
        return images_BCHW
    return (images_BCHW * images_BCHW.new_tensor(GREY)[:, None, None]).sum(1, keepdim=True)
