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


DROP = 0.1
"""The factor of the learning rate at a milestone."""


class Schedule(NamedTuple):
    """A learning rate over the steps of a training.

    It rises linearly over `warmup` steps from `start` to `peak`, and then falls: on a half cosine to `end`, or to a
    tenth at each of the `milestones`, in steps.
    """

    steps: int
    warmup: float
    peak: float
    start: float = 0.0
    end: float = 0.0
    milestones: tuple[float, ...] = ()

    def learning_rate(self, step: int) -> float:
        """The learning rate of a step in 0 … steps − 1; the last step of the warm-up has the peak."""
        if step < self.warmup:
            return self.start + (self.peak - self.start) * min(1.0, step / max(1.0, self.warmup - 1))
        if self.milestones:
            return self.peak * DROP ** sum(step >= milestone for milestone in self.milestones)
        return cosine(self.peak, self.end, (step - self.warmup) / max(1, self.steps - self.warmup))


def cosine(start: float, end: float, progress: float) -> float:
    """Interpolate from `start` to `end` by a half cosine; `progress` is in [0, 1]."""
    return end - (end - start) * (1 + math.cos(math.pi * progress)) / 2


def ramp(start: float, end: float, epoch: float, epochs: float) -> float:
    """Interpolate linearly from `start` to `end` over `epochs` epochs; constant afterwards."""
    return start + (end - start) * epoch / epochs if epoch < epochs else end
