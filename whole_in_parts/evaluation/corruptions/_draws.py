"""Random numbers for corruptions, as functions of sample index, element and context."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.augment.randomness import uniforms


def uniform(indices: NDArray[np.int64], shape: Sequence[int], *context: int | str) -> Tensor:
    """Draw uniform numbers in [0, 1) of shape (B, *shape), in double precision."""
    size = math.prod(shape)
    elements_BP = indices[:, None] * size + np.arange(size)
    return torch.from_numpy(uniforms(elements_BP, *context)).view(len(indices), *shape)


def normal(indices: NDArray[np.int64], shape: Sequence[int], *context: int | str) -> Tensor:
    """Draw standard normal numbers of shape (B, *shape), by the Box-Muller transform."""
    radius, angle = (uniform(indices, shape, *context, part) for part in ("radius", "angle"))
    return (-2 * torch.log1p(-radius)).sqrt() * (2 * math.pi * angle).cos()
