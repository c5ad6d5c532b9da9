"""Tasks of transfer, one file each: what a pretrained backbone is asked to do with the images of another dataset."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from whole_in_parts.async_copy import copy_async
from whole_in_parts.augment.views import Crop, make_batch
from whole_in_parts.config.views import View
from whole_in_parts.data import sample_order
from whole_in_parts.data.shards import Images
from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import Backbone

CROP = View(crop_scale=(0.08, 1.0), jitter=0.0, greyscale=0.0)
"""How ImageNet's classifiers see an image in training: in a crop that is mirrored half of the time."""


AT_ONCE = 500


class TaskContext(NamedTuple):
    """What a task has to work with: a backbone in evaluation mode, both splits, and a folder for what it finds.

    Unfinished work that is kept for the next start is kept under `code_digest`, which stands for the code of the task.
    """

    backbone: Backbone
    train: Images
    test: Images
    device: torch.device
    directory: Path
    code_digest: str = ""


def load_task(name: str) -> ModuleType:
    """The module of a task, which has `evaluate(given, options) -> metrics`."""
    return importlib.import_module(f"whole_in_parts.evaluation.tasks.{name}")


def shared_class_names(context: TaskContext) -> list[str]:
    """The names of the classes that labels are numbers of.

    Raises:
        Failure: they are not the same in both splits.
    """
    train, test = context.train.shards, context.test.shards
    if train.classes != test.classes:
        apart = sorted(set(train.classes).symmetric_difference(test.classes)) or ["their order"]
        raise Failure(
            f"{train.folder.parent}: the label spaces of train and test differ: {len(train.classes)} classes and "
            f"{len(test.classes)}; what differs: {', '.join(apart[:5])}"
        )
    return train.classes


def decode_all(images: Images) -> None:
    """Decode every image, so that a broken one is named before a long training; those that fit in memory stay there.

    Raises:
        Failure: one cannot be decoded.
    """
    for indices in np.array_split(np.arange(len(images)), 1 + len(images) // AT_ONCE):
        images[indices]


def random_crops(context: TaskContext, batch_size: int, seed: int, step: int) -> tuple[Tensor, Tensor]:
    """The training images of a step, each in a random crop (B, C, S, S) in [0, 1], and their labels (B,).

    Raises:
        ValueError: there are fewer images than one batch takes.
    """
    indices = sample_order.batch(step, len(context.train), batch_size, seed)
    labels_B = copy_async(torch.from_numpy(context.train.shards.labels[indices]), context.device)
    images_BCHW = copy_async(context.train[indices], context.device)
    batch = make_batch(images_BCHW, labels_B, [Crop(CROP, context.train.size)], indices, seed, step)
    return batch.views[0], labels_B


def average_precision(found_R: Tensor, positives: int) -> float:
    """The area, in [0, 1], under precision as a function of recall, by trapezoids.

    The j-th positive, at rank r, adds a strip between the precisions just before it, j / r, and with it,
    (j + 1) / (r + 1); before the first rank precision is one. This is how Oxford, Paris and Copydays are scored.
    scikit-learn's `average_precision_score` has rectangles of the higher of the two instead: it is never below this,
    and the same if all positives come first.

    Args:
        found_R: for each rank (R,), best first, whether a positive stands there.
        positives: how many there are in all, on whatever rank.
    """
    rank_J = found_R.nonzero()[:, 0].double()
    before_J = torch.arange(len(rank_J), device=rank_J.device).double()
    precision_J = torch.where(rank_J == 0, 1.0, before_J / rank_J.clamp(min=1)) + (before_J + 1) / (rank_J + 1)
    return precision_J.sum().item() / (2 * positives)


def mean_average_precision(precisions: list[float]) -> float:
    """The mean over queries, in per cent."""
    return round(100 * sum(precisions) / len(precisions), 4)
