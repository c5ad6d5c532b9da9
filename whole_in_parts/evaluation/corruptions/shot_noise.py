"""Shot noise: each value is a Poisson number of photons; the constants are how many a value of 1 has on average."""

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
    """By inversion: an image of 8 bits has few means, so one table has the distributions of all."""
    table = cumulative(photons).to(images_BCHW.device)
    levels_BCHW = (images_BCHW * (LEVELS - 1)).round().long()
    drawn_BCHW = uniform(indices, images_BCHW.shape[1:], "shot_noise", severity).to(images_BCHW.device)
    place_BCHW = torch.searchsorted(table, levels_BCHW + drawn_BCHW, right=True)
    return (place_BCHW - levels_BCHW * (len(table) // LEVELS)).double() / photons


@functools.cache
def cumulative(photons: int) -> Tensor:
    """The distribution functions of all levels one after the other, each above the last by 1: one sorted table.

    A row ends eight deviations and twenty counts above the brightest level's mean, beyond what is ever drawn.
    """
    counts = torch.arange(int(photons + 8 * photons**0.5 + 20), dtype=torch.float64)
    means_L1 = photons * torch.arange(LEVELS, dtype=torch.float64)[:, None] / (LEVELS - 1)
    logarithms_LK = torch.xlogy(counts, means_L1) - means_L1 - torch.lgamma(counts + 1)
    sums_LK = logarithms_LK.exp().cumsum(1).clamp(max=1)
    sums_LK[:, -1] = 1
    return (sums_LK + torch.arange(LEVELS)[:, None]).flatten()
