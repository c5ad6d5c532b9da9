"""The schedule of a learning rate: its warm-up, its half cosine and its milestones."""

import pytest
import torch
from torch import nn

from whole_in_parts.schedules import Schedule

RATE, STEPS, WARMUP = 0.8, 110, 10.0


def test_the_learning_rate_of_each_landmark_is_that_of_the_schedule():
    rate = Schedule(STEPS, WARMUP, RATE, start=3e-5).learning_rate
    assert [rate(0), rate(9), rate(10)] == pytest.approx([3e-5, RATE, RATE])
    assert rate(3) == pytest.approx(3e-5 + (RATE - 3e-5) / 3)
    assert rate(35) == pytest.approx(RATE * (1 + 0.5**0.5) / 2)
    assert rate(60) == pytest.approx(RATE / 2)
    assert 0 < rate(109) < RATE / 1000


def test_a_learning_rate_with_an_end_falls_to_it():
    rate = Schedule(STEPS, WARMUP, RATE, end=0.2).learning_rate
    assert [rate(10), rate(60)] == pytest.approx([RATE, (RATE + 0.2) / 2])
    assert 0.2 < rate(109) < 0.2 + RATE / 1000


def test_the_learning_rate_with_milestones_is_that_of_torch():
    """MultiStepLR at epochs 60 and 80 of 110."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], RATE)
    theirs = torch.optim.lr_scheduler.MultiStepLR(optimizer, [60, 80], gamma=0.1)
    schedule = Schedule(STEPS, 0.0, RATE, milestones=(60.0, 80.0))
    for step in range(STEPS):
        assert schedule.learning_rate(step) == pytest.approx(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize("warmup", [0.0, 2.1, 21.0, 500.0])
def test_the_learning_rate_rises_to_its_peak_at_most_and_then_falls(warmup):
    rates = [Schedule(42, warmup, RATE, start=0.1).learning_rate(step) for step in range(42)]
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert 0 < min(rates) <= max(rates) <= RATE
    assert max(rates) == pytest.approx(RATE) or warmup > 42
