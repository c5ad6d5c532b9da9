"""Elastic transform: an affine map given by three randomly moved points, then a smooth random displacement field.

The constants are the magnitude of the field, the standard deviation of the blur that smooths it, and the largest
displacement of the points, all as shares of the image's size. ImageNet-C's script takes a size of 244 instead of 224
pixels, which is reproduced.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.evaluation.corruptions._draws import uniform
from whole_in_parts.evaluation.corruptions.glass_blur import blur, gaussian_matrix

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
    size = images_BCHW.shape[-1]
    device = images_BCHW.device
    length, sigma, reach = (size * share for share in constant)
    moves_B32, field_BHW2 = (
        (2 * uniform(indices, shape, "elastic_transform", severity, part) - 1).to(device)
        for part, shape in (("affine", (3, 2)), ("field", (size, size, 2)))
    )

    bent_BCHW = sample_linearly(images_BCHW, affine_coordinates(size, reach * moves_B32), "reflect_101")

    matrix_SS = gaussian_matrix(size, sigma, 3, "reflect").to(device)
    smooth_B2HW = length * blur(field_BHW2.permute(0, 3, 1, 2), matrix_SS)
    return sample_linearly(bent_BCHW, pixel_coordinates(size, device) + smooth_B2HW.permute(0, 2, 3, 1), "reflect")


def pixel_coordinates(size: int, device: torch.device) -> Tensor:
    """Build the column and row (S, S, 2) of each pixel."""
    line_S = torch.arange(size, dtype=torch.float64, device=device)
    return torch.stack(torch.meshgrid(line_S, line_S, indexing="xy"), -1)


def affine_coordinates(size: int, moves_B32: Tensor) -> Tensor:
    """Compute the source column and row (B, S, S, 2) of each pixel from the moves of three corners."""
    middle = size // 2
    reach = size // 3
    corners_32 = middle + reach * moves_B32.new_tensor([[1, 1], [1, -1], [-1, -1]])
    moved_B33 = torch.cat([corners_32 + moves_B32, torch.ones_like(moves_B32[..., :1])], -1)
    back_B32 = torch.linalg.solve(moved_B33, corners_32.expand(len(moves_B32), -1, -1))
    return (
        torch.einsum("hwi,bij->bhwj", pixel_coordinates(size, moves_B32.device), back_B32[:, :2])
        + back_B32[:, None, None, 2]
    )


def sample_linearly(images_BCHW: Tensor, coordinates_BHW2: Tensor, edge: str) -> Tensor:
    """Sample images at columns and rows (B, S, S, 2), by bilinear interpolation.

    Args:
        edge: the padding: the image mirrored, with ("reflect") or without ("reflect_101") its edge pixel.
    """
    size = images_BCHW.shape[-1]
    pixels_BCP = images_BCHW.flatten(2)
    first_BHW2 = coordinates_BHW2.floor()
    share_BHW2 = coordinates_BHW2 - first_BHW2

    total_BCP = torch.zeros_like(pixels_BCP)
    for right in (0, 1):
        for down in (0, 1):
            corner_BHW2 = mirror(first_BHW2.long() + first_BHW2.new_tensor([right, down]).long(), size, edge)
            indices_BP = (corner_BHW2[..., 1] * size + corner_BHW2[..., 0]).flatten(1)
            across_BHW, along_BHW = (
                share_BHW2[..., axis] if far else 1 - share_BHW2[..., axis] for axis, far in enumerate((right, down))
            )
            weight_B1P = (across_BHW * along_BHW).flatten(1)[:, None]
            total_BCP += weight_B1P * pixels_BCP.gather(2, indices_BP[:, None].expand_as(pixels_BCP))
    return total_BCP.view_as(images_BCHW)


def mirror(positions: Tensor, size: int, edge: str) -> Tensor:
    """Map any position to 0 … size − 1, for an image that is mirrored at its edges over and over."""
    period = 2 * size if edge == "reflect" else 2 * size - 2
    positions = positions % period
    return torch.where(positions < size, positions, (2 * size - 1 if edge == "reflect" else period) - positions)
