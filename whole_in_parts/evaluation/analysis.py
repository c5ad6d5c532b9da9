"""Analyses of a pretraining, one file each: what its local and global representations are made of."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.data.shards import Images
from whole_in_parts.evaluation.features import batches
from whole_in_parts.methods.base import Method
from whole_in_parts.models.backbone import Backbone


class AnalysisContext(NamedTuple):
    """What an analysis has to work with: the method that was trained and its backbone, both in evaluation mode, both
    splits, the numbers of the test images to look at, and a folder for what it finds.
    """

    method: Method
    backbone: Backbone
    train: Images
    test: Images
    indices: NDArray[np.int64]
    device: torch.device
    directory: Path

    def batches(self, what: str, size: int | None = None) -> Iterator[Tensor]:
        """The images (B, C, S, S) in [0, 1] to look at."""
        for _, images_BCHW in batches(self.test, self.indices, self.device, what, size):
            yield images_BCHW


def load_analysis(name: str) -> ModuleType:
    """The module of an analysis, which has `measure(given, options) -> metrics`."""
    return importlib.import_module(f"whole_in_parts.evaluation.analyses.{name}")
