import pytest
import torch
from torch import nn

from whole_in_parts.failure import Failure
from whole_in_parts.training.nonfinite_guard import NonFiniteGuard

CPU = torch.device("cpu")


def losses(*values: float) -> dict[str, torch.Tensor]:
    return {f"term{number}": torch.tensor(value, requires_grad=True) for number, value in enumerate(values)}


def test_what_is_finite_passes():
    guard = NonFiniteGuard(CPU)
    for step in range(3):
        guard.record(step, losses(-1.0, 2.0))
    guard.raise_if_nonfinite(nn.BatchNorm1d(3))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_the_first_step_that_was_not_finite_is_remembered_though_later_ones_are(bad):
    guard = NonFiniteGuard(CPU)
    for step, value in enumerate([1.0, 2.0, bad, 3.0, bad, 1.0]):
        guard.record(step, losses(1.0, value))
    with pytest.raises(Failure, match=r"the loss is not finite from step 2 on; try a lower optimizer\.learning_rate"):
        guard.raise_if_nonfinite(nn.Identity())


@pytest.mark.parametrize("name", ["weight", "running_var"])
def test_a_weight_or_a_statistic_that_is_not_finite_is_named_though_every_loss_was(name):
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    with torch.no_grad():
        module[1].state_dict()[name][1] = float("nan")
    with pytest.raises(Failure, match=rf"the weights are not \(1\.{name}\); try a lower optimizer\.learning_rate"):
        NonFiniteGuard(CPU).raise_if_nonfinite(module)
