"""Analyses of a pretrained method's local and global representations; each module of `analyses/` is an analysis."""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.data.shards import Images
from whole_in_parts.evaluation.features import iter_rows
from whole_in_parts.methods.base import Method
from whole_in_parts.models.backbone import Backbone


class AnalysisContext(NamedTuple):
    """The inputs of an analysis: a pretrained method and its backbone, both in evaluation mode, both splits, the
    indices of the test images to analyse, and the directory for the files that the analysis writes.
    """

    method: Method
    backbone: Backbone
    train: Images
    test: Images
    indices: NDArray[np.int64]
    device: torch.device
    directory: Path

    def iter_rows(
        self, compute: Callable[[Tensor], Tensor], title: str, batch_size: int | None = None
    ) -> Iterator[Tensor]:
        """Yield what is computed of the test images to analyse, a row (B, …) for each, on the CPU (a collective).

        Args:
            compute: maps images (B, C, S, S) in [0, 1] to rows (B, …).
            title: the title of the progress bar.
            batch_size: the most images in a batch of one process.
        """
        return iter_rows(lambda _, images: compute(images), self.test, self.indices, self.device, title, batch_size)


def load_analysis(name: str) -> ModuleType:
    """Import the module of an analysis, which defines `measure(context, options) -> metrics`.

    All processes call it; the metrics of rank zero count.
    """
    return importlib.import_module(f"whole_in_parts.evaluation.analyses.{name}")
