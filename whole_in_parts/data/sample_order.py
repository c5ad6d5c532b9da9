"""The samples of a training step: a pure function of (seed, step), independent of workers and of restarts."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from whole_in_parts.augment.randomness import permutation


def steps_per_epoch(samples: int, batch_size: int) -> int:
    """Return the number of complete batches in an epoch; the remaining samples are left out of it.

    Raises:
        ValueError: there are fewer samples than in one batch.
    """
    if samples < batch_size:
        raise ValueError(f"batch_size: a batch of {batch_size} needs as many samples, and there are {samples}")
    return samples // batch_size


def batch(step: int, samples: int, batch_size: int, seed: int) -> NDArray[np.int64]:
    """Return the sample indices (batch_size,) of a step; every epoch has its own order."""
    epoch, position = divmod(step, steps_per_epoch(samples, batch_size))
    start = position * batch_size
    return _epoch_order(samples, seed, epoch)[start : start + batch_size]


@lru_cache(maxsize=2)
def _epoch_order(samples: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the order (samples,) of an epoch; cached, since every step of the epoch reads it."""
    return permutation(samples, seed, epoch, "order")
