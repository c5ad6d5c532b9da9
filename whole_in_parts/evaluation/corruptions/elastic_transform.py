"""Elastic transform: an affine map of three points that move at random, then each pixel moved by a smooth random field.

The constants are the length of the field and the deviation of the blur that smooths it, and how far the points move at
most, all as shares of the image's size. ImageNet-C's own count 244 for its 224 pixels, which is kept.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.evaluation.corruptions._draws import uniform
from whole_in_parts.evaluation.corruptions.glass_blur import blurred, gaussian

_SLIP = 244 / 224

CONSTANTS = {
    "ImageNet-C": (
        (2 * _SLIP, 0.7 * _SLIP, 0.1 * _SLIP),
        (2 * _SLIP, 0.08 * _SLIP, 0.2 * _SLIP),
        (0.05 * _SLIP, 0.01 * _SLIP, 0.02 * _SLIP),
        (0.07 * _SLIP, 0.01 * _SLIP, 0.02 * _SLIP),
        (0.12 * _SLIP, 0.01 * _SLIP, 0.02 * _SLIP),
    ),
    "Tiny-ImageNet-C": ((0, 0, 0.08), (0.05, 0.3, 0.06), (0.1, 0.08, 0.06), (0.1, 0.03, 0.03), (0.16, 0.03, 0.02)),
    "CIFAR-C": ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)),
}


def apply(
    images_BCHW: Tensor, constant: tuple[float, float, float], indices: NDArray[np.int64], severity: int
) -> Tensor:
    size, device = images_BCHW.shape[-1], images_BCHW.device
    length, sigma, reach = (size * share for share in constant)
    moves_B32, field_BHW2 = (
        (2 * uniform(indices, shape, "elastic_transform", severity, part) - 1).to(device)
        for part, shape in (("affine", (3, 2)), ("field", (size, size, 2)))
    )
    bent_BCHW = sampled(images_BCHW, affine(size, reach * moves_B32), "reflect_101")
    matrix_SS = gaussian(size, sigma, 3, "reflect").to(device)
    smooth_B2HW = length * blurred(field_BHW2.permute(0, 3, 1, 2), matrix_SS)
    return sampled(bent_BCHW, grid(size, device) + smooth_B2HW.permute(0, 2, 3, 1), "reflect")


def grid(size: int, device: torch.device) -> Tensor:
    """The column and row (S, S, 2) of each pixel."""
    line_S = torch.arange(size, dtype=torch.float64, device=device)
    return torch.stack(torch.meshgrid(line_S, line_S, indexing="xy"), -1)


def affine(size: int, moves_B32: Tensor) -> Tensor:
    """The column and row (B, S, S, 2) that each pixel comes from, when three corners around the middle are moved."""
    middle, reach = size // 2, size // 3
    corners_32 = middle + reach * moves_B32.new_tensor([[1, 1], [1, -1], [-1, -1]])
    moved_B33 = torch.cat([corners_32 + moves_B32, torch.ones_like(moves_B32[..., :1])], -1)
    back_B32 = torch.linalg.solve(moved_B33, corners_32.expand(len(moves_B32), -1, -1))
    return torch.einsum("hwi,bij->bhwj", grid(size, moves_B32.device), back_B32[:, :2]) + back_B32[:, None, None, 2]


def sampled(images_BCHW: Tensor, places_BHW2: Tensor, edge: str) -> Tensor:
    """Images at columns and rows (B, S, S, 2) between pixels, linearly.

    Args:
        edge: what is beyond an image: the image mirrored, with its last pixel ("reflect") or without ("reflect_101").
    """
    size, pixels_BCP = images_BCHW.shape[-1], images_BCHW.flatten(2)
    first_BHW2 = places_BHW2.floor()
    share_BHW2 = places_BHW2 - first_BHW2
    total_BCP = torch.zeros_like(pixels_BCP)
    for right in (0, 1):
        for down in (0, 1):
            corner_BHW2 = mirrored(first_BHW2.long() + first_BHW2.new_tensor([right, down]).long(), size, edge)
            places_BP = (corner_BHW2[..., 1] * size + corner_BHW2[..., 0]).flatten(1)
            across_BHW, along_BHW = (
                share_BHW2[..., axis] if far else 1 - share_BHW2[..., axis] for axis, far in enumerate((right, down))
            )
            weight_B1P = (across_BHW * along_BHW).flatten(1)[:, None]
            total_BCP += weight_B1P * pixels_BCP.gather(2, places_BP[:, None].expand_as(pixels_BCP))
    return total_BCP.view_as(images_BCHW)


def mirrored(places: Tensor, size: int, edge: str) -> Tensor:
    """Places within 0 … size − 1 for any, as if the image stood between two mirrors."""
    period = 2 * size if edge == "reflect" else 2 * size - 2
    places = places % period
    return torch.where(places < size, places, (2 * size - 1 if edge == "reflect" else period) - places)
