"""Glass blur: a Gaussian blur, pixels shuffled with near ones, and the blur again.

The constants are the blur's deviation and the longest way of a pixel, both in pixels, and how often all are shuffled.
"""

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.evaluation.corruption import truncate_to_8_bit
from whole_in_parts.evaluation.corruptions._draws import uniform

CONSTANTS = {
    "ImageNet-C": ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
    "Tiny-ImageNet-C": ((0.1, 1, 1), (0.5, 1, 1), (0.6, 1, 2), (0.7, 2, 1), (0.9, 2, 2)),
    "CIFAR-C": ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
}


def apply(images_BCHW: Tensor, constant: tuple[float, int, int], indices: NDArray[np.int64], severity: int) -> Tensor:
    sigma, reach, times = constant
    matrix_SS = gaussian(images_BCHW.shape[-1], sigma, 4, "nearest").to(images_BCHW.device)
    pixels_BCP = truncate_to_8_bit(blurred(images_BCHW, matrix_SS)).flatten(2)
    for time in range(times):
        moves = uniform(indices, images_BCHW.shape[2:], "glass_blur", severity, time)
        source_BP = sources(moves.to(images_BCHW.device), reach)
        pixels_BCP = pixels_BCP.gather(2, source_BP[:, None].expand_as(pixels_BCP))
    return blurred(pixels_BCP.view_as(images_BCHW), matrix_SS)


def sources(moves_BSS: Tensor, reach: int) -> Tensor:
    """Where each pixel (B, P) of a shuffled image comes from.

    The released code visits the pixels from the last to the first, without a border of `reach`, and means to exchange
    each with one that is drawn, at most `reach` before and less than `reach` after it both ways. Since numpy's rows are
    views, it copies that one, and nothing goes the other way. So a pixel is what the drawn one was before, or is by
    then if it was visited already: chains, which are followed for all pixels at once, twice as far in each turn.
    """
    size = moves_BSS.shape[-1]
    pixels_P = torch.arange(size * size, device=moves_BSS.device)
    inside_S = torch.zeros(size, dtype=torch.bool, device=moves_BSS.device)
    inside_S[reach + 1 : size - reach + 1] = True
    inside_P = (inside_S[:, None] & inside_S).flatten()
    way_BP = (moves_BSS.flatten(1) * (2 * reach) ** 2).long()
    drawn_BP = pixels_P + (way_BP // (2 * reach) - reach) * size + way_BP % (2 * reach) - reach
    next_BP = torch.where(inside_P, drawn_BP, pixels_P)
    # A number from P on stands for that pixel's new value, which is still to be found.
    visited_BP = inside_P[next_BP] & (next_BP > pixels_P)
    next_BP = next_BP + visited_BP * len(pixels_P)
    while (open_BP := next_BP >= len(pixels_P)).any():
        next_BP = torch.where(open_BP, next_BP.gather(1, next_BP % len(pixels_P)), next_BP)
    return next_BP


@functools.cache
def gaussian(size: int, sigma: float, truncate: float, edge: str) -> Tensor:
    """A Gaussian blur of rows as a matrix (S, S); it ends at `truncate` deviations.

    Args:
        edge: what is beyond an image: "nearest", the last pixel, or "reflect", the image mirrored, its last pixel too.
    """
    reach = int(truncate * sigma + 0.5)
    offsets_K = torch.arange(-reach, reach + 1)
    weights_K = torch.exp(-((offsets_K.double() / max(sigma, 1e-9)) ** 2) / 2)
    places_SK = torch.arange(size)[:, None] + offsets_K
    if edge == "nearest":
        places_SK = places_SK.clamp(0, size - 1)
    else:
        places_SK = places_SK % (2 * size)
        places_SK = torch.minimum(places_SK, 2 * size - 1 - places_SK)
    weights_SK = (weights_K / weights_K.sum()).expand(size, -1).contiguous()
    return torch.zeros(size, size, dtype=torch.float64).scatter_add_(1, places_SK, weights_SK)


def blurred(images_BCHW: Tensor, matrix_SS: Tensor) -> Tensor:
    """Images whose rows and columns a matrix blurs."""
    return ((images_BCHW @ matrix_SS.T).mT @ matrix_SS.T).mT
