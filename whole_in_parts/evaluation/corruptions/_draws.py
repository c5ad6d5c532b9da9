"""Random numbers for corruptions: for each element of each image, a function of its sample number and a context."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.augment.randomness import uniforms


def uniform(indices: NDArray[np.int64], shape: Sequence[int], *context: int | str) -> Tensor:
    """Numbers in [0, 1) of shape (B, *shape), in double precision."""
    size = math.prod(shape)
    elements_BP = indices[:, None] * size + np.arange(size)
    return torch.from_numpy(uniforms(elements_BP, *context)).view(len(indices), *shape)


def normal(indices: NDArray[np.int64], shape: Sequence[int], *context: int | str) -> Tensor:
    """Standard normal numbers of shape (B, *shape), by Box and Muller's transform of uniform ones."""
    radius, angle = (uniform(indices, shape, *context, part) for part in ("radius", "angle"))
    return (-2 * torch.log1p(-radius)).sqrt() * (2 * math.pi * angle).cos()
