"""Crop, resize and flip as two products with a sampling matrix an image: exact, and fast where a loop is not.

B images, C channels, H×W pixels in, Y×X out; a matrix takes I pixels of a line to O.
"""

import torch
from torch import Tensor

from whole_in_parts.async_copy import copy_async


def crop(x_BCHW: Tensor, box_B4: Tensor, size: int, flip_B: Tensor, interpolation: str = "bilinear") -> Tensor:
    """Cut a box out of each image in [0, 1] and resize it to (size, size), antialiased and mirrored where `flip_B`.

    Equal to torchvision's `resized_crop`, but that bicubic, which overshoots at edges, is clamped to [0, 1].
    """
    box_B4, flip_B = copy_async(box_B4, x_BCHW.device), copy_async(flip_B, x_BCHW.device)
    top_B, left_B, height_B, width_B = box_B4.unbind(1)
    start_B, length_B = left_B + flip_B * width_B, width_B * (1 - 2.0 * flip_B)
    rows_BYH = sampling(top_B, height_B, x_BCHW.shape[2], size, interpolation)
    columns_BXW = sampling(start_B, length_B, x_BCHW.shape[3], size, interpolation)
    x_BCYX = separable(x_BCHW, rows_BYH, columns_BXW)
    return x_BCYX.clamp_(0, 1) if interpolation == "bicubic" else x_BCYX


def sampling(start_B: Tensor, length_B: Tensor, inputs: int, outputs: int, interpolation: str = "bilinear") -> Tensor:
    """The matrices (B, outputs, inputs), with rows of sum one, that resample an interval of a line.

    It is read backwards where the length is negative. The filter is as wide as an output pixel where that is larger
    than an input pixel, which is antialiasing.
    """
    start_B11, length_B11 = start_B[:, None, None], length_B[:, None, None]
    scale_B11 = length_B11 / outputs
    pixel_I = torch.arange(inputs, device=start_B.device)
    centre_BO1 = start_B11 + (torch.arange(outputs, device=start_B.device)[:, None] + 0.5) * scale_B11
    weight_BOI = FILTERS[interpolation]((pixel_I + 0.5 - centre_BO1).abs_().div_(scale_B11.abs().clamp_(min=1)))
    first_B11, end_B11 = start_B11 + length_B11.clamp(max=0), start_B11 + length_B11.clamp(min=0)
    weight_BOI *= (pixel_I >= first_B11) & (pixel_I < end_B11)
    return weight_BOI.div_(weight_BOI.sum(2, keepdim=True))


def triangle(distance: Tensor) -> Tensor:
    """The weight of a pixel at a distance, for bilinear interpolation."""
    return (1 - distance).clamp_(min=0)


def cubic(distance: Tensor) -> Tensor:
    """The weight of a pixel at a distance, for bicubic interpolation (Keys, 1981, with a = −1/2, as Pillow has it).

    The two pieces are a sum of powers that end at 2 and at 1: a branch costs as much as ten operations on a CPU.
    """
    two, one = (2 - distance).clamp_(min=0), (1 - distance).clamp_(min=0)
    return two.square().mul_(two - 1).mul_(0.5).add_(one.square().mul_(1 - 2 * one))


FILTERS = {"bilinear": triangle, "bicubic": cubic}


def separable(x_BCHW: Tensor, rows_BYH: Tensor, columns_BXW: Tensor) -> Tensor:
    """Apply one matrix to the columns and one to the rows of each image, all channels in one product."""
    batch, channels, height, width = x_BCHW.shape
    high, wide = rows_BYH.shape[1], columns_BXW.shape[1]
    lines_BHL = x_BCHW.transpose(1, 2).reshape(batch, height, channels * width)
    lines_BLW = torch.bmm(rows_BYH, lines_BHL).view(batch, high * channels, width)
    x_BYCX = torch.bmm(lines_BLW, columns_BXW.transpose(1, 2)).view(batch, high, channels, wide)
    return x_BYCX.transpose(1, 2).contiguous()
