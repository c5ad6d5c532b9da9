"""Draw random numbers as a pure function of (seed, step, sample, name): no state to save, equal on every machine.

The generator is counter-based (Salmon et al., 2011, "Parallel random numbers: as easy as 1, 2, 3"), with the finaliser
of SplitMix64 (Steele et al., 2014) as its mixing function.
"""

import zlib

import numpy as np
from numpy.typing import NDArray

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of 64-bit integers: every input bit flips every output bit with probability one half."""
    z = values + np.uint64(_GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def hashes(samples: NDArray[np.integer], *context: int | str) -> NDArray[np.uint64]:
    """Hash sample indices to 64 bits in a context, such as (seed, step, "flip")."""
    state = np.zeros(1, np.uint64)
    for part in context:
        word = zlib.crc32(part.encode()) if isinstance(part, str) else part & _MASK
        state = mix(state ^ np.uint64(word))
    return mix(state ^ samples.astype(np.uint64))


def uniforms(samples: NDArray[np.integer], *context: int | str) -> NDArray[np.float64]:
    """Draw a number in [0, 1) for every sample index in a context."""
    return (hashes(samples, *context) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutation(length: int, *context: int | str) -> NDArray[np.int64]:
    """Shuffle the indices 0 … length − 1 by the context."""
    return np.argsort(hashes(np.arange(length), *context), kind="stable")


def stratified(labels: NDArray[np.integer], count: float, *context: int | str) -> NDArray[np.int64]:
    """Draw about `count` sample indices, sorted, with the same fraction of every class; the context is the seed."""
    fraction = min(1.0, count / len(labels))
    priorities = uniforms(np.arange(len(labels)), *context)
    subsets = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        subsets.append(members[np.argsort(priorities[members])[: round(fraction * len(members))]])
    return np.sort(np.concatenate(subsets))
