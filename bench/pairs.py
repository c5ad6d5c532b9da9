"""Two ways to do the same work, timed in turn, so that a machine that drifts is fair to both."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from torch.optim import Optimizer

from whole_in_parts.augment.views import Batch
from whole_in_parts.methods.base import Method

REPEATS = 5


class Row(NamedTuple):
    """A line of the result: what was measured, both rates, their ratio (median of the pairs), and the aim."""

    what: str
    ours: float
    other: float
    ratio: float
    aim: float
    unit: str


def rate(work: Callable[[], int]) -> float:
    """Units of work a second; `work` says how many it did."""
    started = time.perf_counter()
    return work() / (time.perf_counter() - started)


def take(optimizer: Optimizer, method: Method, batch: Batch) -> None:
    """A step of a method as the training loop takes it."""
    optimizer.zero_grad(set_to_none=True)
    method.backward(method(batch).losses)
    optimizer.step()


def compare(what: str, ours: Callable[[], int], other: Callable[[], int], aim: float, unit: str = "images/s") -> Row:
    """The rates of both, after one warm-up of each, and the median of the ratios pair by pair."""
    ours(), other()
    pairs = [(rate(ours), rate(other)) for _ in range(REPEATS)]
    first, second = (statistics.median(column) for column in zip(*pairs, strict=True))
    return Row(what, first, second, statistics.median(a / b for a, b in pairs), aim, unit)
