"""Random numbers as a pure function of (seed, step, sample, name): no state to save, the same on any machine.

A counter-based generator (Salmon et al., 2011, "Parallel random numbers: as easy as 1, 2, 3"), here with the
finaliser of SplitMix64 (Steele et al., 2014) as the mixing function.
"""

import zlib

import numpy as np
from numpy.typing import NDArray

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scatter 64-bit integers: each input bit changes each output bit with probability one half."""
    z = values + np.uint64(_GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def hashes(samples: NDArray[np.integer], *context: int | str) -> NDArray[np.uint64]:
    """A 64-bit hash for each sample number in a context, such as (seed, step, "flip")."""
    state = np.zeros(1, np.uint64)
    for part in context:
        number = zlib.crc32(part.encode()) if isinstance(part, str) else part & _MASK
        state = mix(state ^ np.uint64(number))
    return mix(state ^ samples.astype(np.uint64))


def uniforms(samples: NDArray[np.integer], *context: int | str) -> NDArray[np.float64]:
    """A number in [0, 1) for each sample number in a context."""
    return (hashes(samples, *context) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutation(length: int, *context: int | str) -> NDArray[np.int64]:
    """The numbers 0 … length − 1 in an order that is a function of the context."""
    return np.argsort(hashes(np.arange(length), *context), kind="stable")


def stratified(labels: NDArray[np.integer], count: float, *context: int | str) -> NDArray[np.int64]:
    """About `count` sample numbers, in their order: the same share of each class, drawn as the context says."""
    share, rank = min(1.0, count / len(labels)), uniforms(np.arange(len(labels)), *context)
    chosen = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        chosen.append(members[np.argsort(rank[members])[: round(share * len(members))]])
    return np.sort(np.concatenate(chosen))
