"""Crop, resize and flip a batch by two products with per-image resampling matrices: exact, and without a loop.

Shapes: B images, C channels, H×W input pixels, Y×X output pixels; a matrix resamples a line of I pixels to O pixels.
"""

import torch
from torch import Tensor

from whole_in_parts.async_copy import copy_async
from whole_in_parts.shapes import Float, Num


def crop(
    x_BCHW: Float[Tensor, "B C H W"],
    box_B4: Num[Tensor, "B 4"],
    size: int,
    flip_B: Tensor,
    interpolation: str = "bilinear",
) -> Float[Tensor, "B C S S"]:
    """Crop a box from every image in [0, 1] and resize it to (size, size), antialiased and mirrored where `flip_B`.

    The result equals torchvision's `resized_crop`, except that bicubic, which overshoots at edges, is clamped to
    [0, 1].
    """
    box_B4 = copy_async(box_B4, x_BCHW.device)
    flip_B = copy_async(flip_B, x_BCHW.device)
    top_B, left_B, height_B, width_B = box_B4.unbind(1)

    # A mirrored crop reads its columns from right to left: a start at the right edge and a negative length.
    start_B = left_B + flip_B * width_B
    length_B = width_B * (1 - 2.0 * flip_B)
    rows_BYH = resampling_matrices(top_B, height_B, x_BCHW.shape[2], size, interpolation)
    columns_BXW = resampling_matrices(start_B, length_B, x_BCHW.shape[3], size, interpolation)

    x_BCYX = separable(x_BCHW, rows_BYH, columns_BXW)
    return x_BCYX.clamp_(0, 1) if interpolation == "bicubic" else x_BCYX


def resampling_matrices(
    start_B: Tensor, length_B: Tensor, inputs: int, outputs: int, interpolation: str = "bilinear"
) -> Tensor:
    """Build the matrices (B, outputs, inputs), with rows that sum to one, that resample an interval of a line.

    A negative length reads the interval backwards. The filter is at least as wide as an output pixel: antialiasing.
    """
    start_B11 = start_B[:, None, None]
    length_B11 = length_B[:, None, None]
    scale_B11 = length_B11 / outputs

    # Weight every input pixel by its distance from the centre of every output pixel.
    pixel_I = torch.arange(inputs, device=start_B.device)
    centre_BO1 = start_B11 + (torch.arange(outputs, device=start_B.device)[:, None] + 0.5) * scale_B11
    weight_BOI = FILTERS[interpolation]((pixel_I + 0.5 - centre_BO1).abs_().div_(scale_B11.abs().clamp_(min=1)))

    # Pixels outside the crop have no weight, as if the crop were cut before it is resized.
    first_B11 = start_B11 + length_B11.clamp(max=0)
    end_B11 = start_B11 + length_B11.clamp(min=0)
    weight_BOI *= (pixel_I >= first_B11) & (pixel_I < end_B11)
    return weight_BOI.div_(weight_BOI.sum(2, keepdim=True))


def triangle(distance: Tensor) -> Tensor:
    """Compute the bilinear weight of a pixel at a distance, in pixels."""
    return (1 - distance).clamp_(min=0)


def cubic(distance: Tensor) -> Tensor:
    """Compute the bicubic weight of a pixel at a distance, in pixels (Keys, 1981, with a = −1/2, as in Pillow).

    The two pieces of the cubic are written as a sum of powers truncated at 2 and at 1, since a branch costs as much as
    ten operations on a CPU.
    """
    outer = (2 - distance).clamp_(min=0)
    inner = (1 - distance).clamp_(min=0)
    return outer.square().mul_(outer - 1).mul_(0.5).add_(inner.square().mul_(1 - 2 * inner))


FILTERS = {"bilinear": triangle, "bicubic": cubic}


def separable(
    x_BCHW: Float[Tensor, "B C H W"], rows_BYH: Float[Tensor, "B Y H"], columns_BXW: Float[Tensor, "B X W"]
) -> Float[Tensor, "B C Y X"]:
    """Resample the rows and the columns of every image by one matrix each, with all channels in one product."""
    batch, channels, height, width = x_BCHW.shape
    new_height = rows_BYH.shape[1]
    new_width = columns_BXW.shape[1]

    # L: the lines of all channels side by side, so that one batched product resamples them all.
    lines_BHL = x_BCHW.transpose(1, 2).reshape(batch, height, channels * width)
    lines_BLW = torch.bmm(rows_BYH, lines_BHL).view(batch, new_height * channels, width)
    x_BYCX = torch.bmm(lines_BLW, columns_BXW.transpose(1, 2)).view(batch, new_height, channels, new_width)
    return x_BYCX.transpose(1, 2).contiguous()
