"""The pretended accelerator notices what it is there for."""

import pytest
import torch

from tests.fake_cuda import CPU, GPU, Accelerator, put


@pytest.fixture
def x():
    tensor = torch.arange(4.0)
    put(tensor)
    return tensor


WAITS = {
    "a plain copy to it": lambda x: torch.ones(4).to(x.device),
    "a copy from it": lambda x: x.to(CPU, non_blocking=True),
    "a tensor of numbers": lambda x: torch.tensor(1.0, device=x.device),
    "a number": lambda x: float(x.sum()),
    "a condition": lambda x: 1 if (x + 1 > 0).all() else 0,
    "places that are found": lambda x: x.nonzero(),
    "a choice by a mask": lambda x: x[x > 1],
    "all numbers": lambda x: x.cpu().numpy(),
}


@pytest.mark.parametrize("what", WAITS)
def test_what_would_wait_is_noted(x, what):
    with Accelerator() as seen:
        WAITS[what](x)
    assert len(seen.waits) == 1


MEETINGS = {"a sum": lambda x: x * 2 + torch.ones(4), "an array": lambda x: x.numpy()}


@pytest.mark.parametrize("what", MEETINGS)
def test_tensors_of_both_that_meet_are_noted(x, what):
    with Accelerator() as seen:
        MEETINGS[what](x)
    assert len(seen.meetings) == 1


DRAWS = {
    "a new tensor": lambda x: torch.randperm(4, device=x.device),
    "a tensor like another": lambda x: torch.randn_like(x),
    "a tensor in place": lambda x: x.normal_(),
}


@pytest.mark.parametrize("what", DRAWS)
def test_random_numbers_drawn_on_it_are_noted(x, what):
    with Accelerator() as seen:
        DRAWS[what](x)
    assert len(seen.draws) == 1


def test_what_only_goes_on_there_is_not(x):
    with Accelerator() as seen:
        own = torch.ones(4).to(GPU, non_blocking=True)
        y = torch.nn.Linear(4, 1).requires_grad_(False).weight.detach().to(GPU, non_blocking=True) @ (x * own)
        (y[torch.arange(1, device=y.device)] + torch.tensor(1.0)).mean()
        torch.randn(4)
    assert not seen.waits
    assert not seen.draws
    assert not seen.meetings
