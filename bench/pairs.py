"""Time two implementations of the same work alternately, so that a drift of the machine affects both equally."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from torch.optim import Optimizer

from whole_in_parts.augment.views import Batch
from whole_in_parts.methods.base import Method

REPEATS = 5


class Row(NamedTuple):
    """A row of the table: a name, both rates, their ratio (the median over pairs), and the aim of the ratio."""

    name: str
    ours: float
    other: float
    ratio: float
    aim: float
    unit: str


def rate(work: Callable[[], int]) -> float:
    """Measure units of work per second; `work` returns the number of its units."""
    started = time.perf_counter()
    return work() / (time.perf_counter() - started)


def take_step(optimizer: Optimizer, method: Method, batch: Batch) -> None:
    """Take a step of a method as the training loop does."""
    optimizer.zero_grad(set_to_none=True)
    method.backward(method(batch).losses)
    optimizer.step()


def compare(name: str, ours: Callable[[], int], other: Callable[[], int], aim: float, unit: str = "images/s") -> Row:
    """Measure both rates after a warm-up, and the median of the ratios over pairs."""
    ours()
    other()
    pairs = [(rate(ours), rate(other)) for _ in range(REPEATS)]
    our_rate, other_rate = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    return Row(name, our_rate, other_rate, statistics.median(a / b for a, b in pairs), aim, unit)
