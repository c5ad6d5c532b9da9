"""Trainings of the small study's runs, of one epoch: 21 steps, of 1,347 digits in batches of 64."""

import pytest
import torch

from whole_in_parts.checkpoints import Checkpoints
from whole_in_parts.config.runs import Run
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.methods.base import Method
from whole_in_parts.training import loop
from whole_in_parts.training.building import build
from whole_in_parts.training.loop import Training
from whole_in_parts.training.online import OnlineEvaluation

CPU = torch.device("cpu")


@pytest.fixture
def run(small):
    """A function that gives a run of one epoch, with another optimizer or batch."""

    def make(name: str = "byol", optimizer: dict | None = None, **changes) -> Run:
        chosen = small.runs[name].model_dump()
        optimizer = small.runs[name].optimizer.model_dump(exclude_defaults=True) | (optimizer or {})
        return Run.model_validate(chosen | {"epochs": 1, "optimizer": optimizer} | changes)

    return make


@pytest.fixture
def begin(images, shards, tmp_path):
    """A function that trains a method as a run says, with its online evaluation or another."""

    def go(method: Method, options: Run, online=None, folder: str = "checkpoints") -> Training:
        test = Images(Shards(shards / "test"), 8, 1)
        online = online or OnlineEvaluation(options, method.backbone, images, test, CPU)
        return loop.train(method, images, online, options, Checkpoints(tmp_path / folder), CPU)

    return go


@pytest.fixture
def train(begin):
    """A function that trains a new method as a run says, and gives its weights and its training."""

    def go(options: Run, folder: str = "checkpoints", online=None) -> tuple[dict[str, torch.Tensor], Training]:
        method = build(options, 10)
        training = begin(method, options, online, folder)
        return method.state_dict(), training

    return go


@pytest.fixture
def same():
    """A function that holds two trainings to the same bytes."""

    def compare(first, second) -> None:
        (weights, training), (others, other) = first, second
        assert weights.keys() == others.keys()
        for name, tensor in weights.items():
            assert torch.equal(tensor, others[name]), name
        assert training.history == other.history
        assert training.step == other.step

    return compare
