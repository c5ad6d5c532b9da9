"""Glass blur: a Gaussian blur, a local shuffle of pixels, and the blur again.

The constants are the standard deviation of the blur and the reach of shuffles, in pixels, and the number of shuffles.
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
    sigma, reach, shuffles = constant
    matrix_SS = gaussian_matrix(images_BCHW.shape[-1], sigma, 4, "nearest").to(images_BCHW.device)
    pixels_BCP = truncate_to_8_bit(blur(images_BCHW, matrix_SS)).flatten(2)
    for shuffle in range(shuffles):
        moves_BSS = uniform(indices, images_BCHW.shape[2:], "glass_blur", severity, shuffle)
        source_BP = shuffle_sources(moves_BSS.to(images_BCHW.device), reach)
        pixels_BCP = pixels_BCP.gather(2, source_BP[:, None].expand_as(pixels_BCP))
    return blur(pixels_BCP.view_as(images_BCHW), matrix_SS)


def shuffle_sources(moves_BSS: Tensor, reach: int) -> Tensor:
    """Compute the source (B, P) of each pixel of a shuffled image.

    The released code visits the pixels from the last to the first, except for a border of `reach`, to exchange each
    with a drawn pixel, at most `reach` before and less than `reach` after it in both directions. Since numpy's rows are
    views, it copies the drawn pixel instead of exchanging the two. So a pixel takes the value of the drawn pixel at the
    time of the visit: the original value, or the new one if the drawn pixel was visited earlier. These chains are
    resolved for all pixels at once by pointer doubling.
    """
    size = moves_BSS.shape[-1]
    pixels_P = torch.arange(size * size, device=moves_BSS.device)

    # The pixels that are visited.
    inside_S = torch.zeros(size, dtype=torch.bool, device=moves_BSS.device)
    inside_S[reach + 1 : size - reach + 1] = True
    inside_P = (inside_S[:, None] & inside_S).flatten()

    # Both offsets of a move come from a single uniform number.
    move_BP = (moves_BSS.flatten(1) * (2 * reach) ** 2).long()
    drawn_BP = pixels_P + (move_BP // (2 * reach) - reach) * size + move_BP % (2 * reach) - reach
    next_BP = torch.where(inside_P, drawn_BP, pixels_P)

    # An index from P on refers to the new value of a pixel, which is not resolved yet.
    visited_BP = inside_P[next_BP] & (next_BP > pixels_P)
    next_BP = next_BP + visited_BP * len(pixels_P)
    while (unresolved_BP := next_BP >= len(pixels_P)).any():
        next_BP = torch.where(unresolved_BP, next_BP.gather(1, next_BP % len(pixels_P)), next_BP)
    return next_BP


@functools.cache
def gaussian_matrix(size: int, sigma: float, truncate: float, edge: str) -> Tensor:
    """Build the matrix (S, S) of a Gaussian blur of rows, truncated at `truncate` standard deviations.

    Args:
        edge: the padding: "nearest", the edge pixel, or "reflect", the image mirrored with its edge pixel.
    """
    reach = int(truncate * sigma + 0.5)
    offsets_K = torch.arange(-reach, reach + 1)
    weights_K = torch.exp(-((offsets_K.double() / max(sigma, 1e-9)) ** 2) / 2)

    # The pixels that each output pixel reads.
    sources_SK = torch.arange(size)[:, None] + offsets_K
    if edge == "nearest":
        sources_SK = sources_SK.clamp(0, size - 1)
    else:
        sources_SK = sources_SK % (2 * size)
        sources_SK = torch.minimum(sources_SK, 2 * size - 1 - sources_SK)

    weights_SK = (weights_K / weights_K.sum()).expand(size, -1).contiguous()
    return torch.zeros(size, size, dtype=torch.float64).scatter_add_(1, sources_SK, weights_SK)


def blur(images_BCHW: Tensor, matrix_SS: Tensor) -> Tensor:
    """Blur the rows and columns of images by a matrix."""
    return ((images_BCHW @ matrix_SS.T).mT @ matrix_SS.T).mT
