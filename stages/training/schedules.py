"""Schedules of learning rates, weight decays, momenta and temperatures."""

import math


def cosine(start: float, end: float, progress: float) -> float:
    """The value at `progress` in [0, 1] of a half cosine from `start` to `end`."""
    return end - (end - start) * (1 + math.cos(math.pi * progress)) / 2


def ramp(start: float, end: float, epoch: float, epochs: float) -> float:
    """The value at `epoch` of a line from `start` to `end` over so many epochs, which holds from there on."""
    return start + (end - start) * epoch / epochs if epoch < epochs else end
