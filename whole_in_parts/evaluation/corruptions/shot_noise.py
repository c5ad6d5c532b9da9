"""Shot noise: each value is a Poisson number of photons; the constants are the mean number for a value of 1."""

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.evaluation.corruptions._draws import uniform

CONSTANTS = {
    "ImageNet-C": (60, 25, 12, 5, 3),
    "Tiny-ImageNet-C": (250, 100, 50, 30, 15),
    "CIFAR-C": (500, 250, 100, 75, 50),
}
LEVELS = 256


def apply(images_BCHW: Tensor, photons: int, indices: NDArray[np.int64], severity: int) -> Tensor:
    """Sample by inversion: 8-bit images have 256 means, so that one table holds all distribution functions."""
    table = cumulative_table(photons).to(images_BCHW.device)
    levels_BCHW = (images_BCHW * (LEVELS - 1)).round().long()
    drawn_BCHW = uniform(indices, images_BCHW.shape[1:], "shot_noise", severity).to(images_BCHW.device)
    index_BCHW = torch.searchsorted(table, levels_BCHW + drawn_BCHW, right=True)
    return (index_BCHW - levels_BCHW * (len(table) // LEVELS)).double() / photons


@functools.cache
def cumulative_table(photons: int) -> Tensor:
    """Concatenate the distribution functions of all levels, that of level l shifted by l, to a sorted table.

    A row ends eight standard deviations and twenty counts above the mean of the brightest level, beyond any draw.
    """
    counts = torch.arange(int(photons + 8 * photons**0.5 + 20), dtype=torch.float64)
    means_L1 = photons * torch.arange(LEVELS, dtype=torch.float64)[:, None] / (LEVELS - 1)
    log_probabilities_LK = torch.xlogy(counts, means_L1) - means_L1 - torch.lgamma(counts + 1)
    cumulative_LK = log_probabilities_LK.exp().cumsum(1).clamp(max=1)
    cumulative_LK[:, -1] = 1
    return (cumulative_LK + torch.arange(LEVELS)[:, None]).flatten()
