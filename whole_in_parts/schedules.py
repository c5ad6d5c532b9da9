"""The clock of a training, and schedules of learning rates, weight decays, momenta and temperatures."""

import math
from typing import NamedTuple


class Clock(NamedTuple):
    """The progress of a training: `step` of `steps` optimizer steps are done; an epoch has `per_epoch` steps."""

    step: int
    steps: int
    per_epoch: int
    learning_rate: float = 0.0

    @property
    def progress(self) -> float:
        """The fraction of completed steps, in [0, 1]."""
        return self.step / self.steps

    @property
    def epoch(self) -> float:
        """The number of completed epochs, a fraction within an epoch."""
        return self.step / self.per_epoch


def cosine(start: float, end: float, progress: float) -> float:
    """Interpolate from `start` to `end` by a half cosine; `progress` is in [0, 1]."""
    return end - (end - start) * (1 + math.cos(math.pi * progress)) / 2


def ramp(start: float, end: float, epoch: float, epochs: float) -> float:
    """Interpolate linearly from `start` to `end` over `epochs` epochs; constant afterwards."""
    return start + (end - start) * epoch / epochs if epoch < epochs else end
