"""The digits and an untrained method, as an analysis is given them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.every_method import MODIFIERS
from whole_in_parts.config.runs import Run
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.evaluation.analysis import AnalysisContext
from whole_in_parts.training.building import build


def looked_at(run: Run, shards: Path, folder: Path) -> AnalysisContext:
    """A method as it is built, and the first 60 test images."""
    method = build(run, classes=10).eval().requires_grad_(False)
    train, test = (Images(Shards(shards / split), 8, 1) for split in ("train", "test"))
    return AnalysisContext(method, method.backbone, train, test, np.arange(60), torch.device("cpu"), folder)


@pytest.fixture
def context(small, shards, tmp_path) -> AnalysisContext:
    """A backbone with a map of 4×4 positions, and a projector."""
    return looked_at(small.runs["co_byol"], shards, tmp_path)


@pytest.fixture
def given_plain(small, shards, tmp_path) -> AnalysisContext:
    """A backbone without a projector."""
    return looked_at(small.runs["random"], shards, tmp_path)


@pytest.fixture
def given_logo(small, shards, tmp_path) -> AnalysisContext:
    """BYOL with LoGo's affinity."""
    return looked_at(small.runs["byol"].model_copy(update={"modifier": MODIFIERS["logo"]}), shards, tmp_path)
