"""Where a training stands, and schedules of learning rates, weight decays, momenta and temperatures."""

import math
from typing import NamedTuple


class Clock(NamedTuple):
    """Where a training stands: `step` of `steps` optimizer steps are done, `per_epoch` of them in an epoch."""

    step: int
    steps: int
    per_epoch: int
    learning_rate: float = 0.0

    @property
    def progress(self) -> float:
        """The share of the steps that are done, in [0, 1]."""
        return self.step / self.steps

    @property
    def epoch(self) -> float:
        """How many epochs are done; not a whole number within one."""
        return self.step / self.per_epoch


def cosine(start: float, end: float, progress: float) -> float:
    """The value at `progress` in [0, 1] of a half cosine from `start` to `end`."""
    return end - (end - start) * (1 + math.cos(math.pi * progress)) / 2


def ramp(start: float, end: float, epoch: float, epochs: float) -> float:
    """The value at `epoch` of a line from `start` to `end` over so many epochs, which holds from there on."""
    return start + (end - start) * epoch / epochs if epoch < epochs else end
