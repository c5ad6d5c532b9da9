"""Which samples a step sees: a pure function of (seed, step), whatever the number of workers or interruptions."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from whole_in_parts.augment.randomness import permutation


def steps_per_epoch(samples: int, batch_size: int) -> int:
    """Whole batches in an epoch; what is left over is not seen in it.

    Raises:
        ValueError: there are fewer samples than one batch takes.
    """
    if samples < batch_size:
        raise ValueError(f"batch_size: a batch of {batch_size} needs as many samples, and there are {samples}")
    return samples // batch_size


def batch(step: int, samples: int, batch_size: int, seed: int) -> NDArray[np.int64]:
    """The sample numbers (batch_size,) of a step; each epoch has an order of its own."""
    epoch, position = divmod(step, steps_per_epoch(samples, batch_size))
    start = position * batch_size
    return _epoch(samples, seed, epoch)[start : start + batch_size]


@lru_cache(maxsize=2)
def _epoch(samples: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return permutation(samples, seed, epoch, "order")
