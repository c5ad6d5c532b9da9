"""Transfer tasks: evaluations of a pretrained backbone on another dataset; each module of `tasks/` is a task."""

import hashlib
import importlib
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from whole_in_parts.checkpoints import Checkpoints
from whole_in_parts.config.task import TaskConfig
from whole_in_parts.data.shards import INDEX, Images
from whole_in_parts.distributed.collectives import world_size
from whole_in_parts.distributed.group import assert_same_config
from whole_in_parts.distributed.sharing import share_rows
from whole_in_parts.evaluation.features import BATCH
from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import Backbone


class TaskContext(NamedTuple):
    """The inputs of a task: a backbone in evaluation mode, both splits, and the directory for the files it writes.

    `scratch` is the folder of its checkpoints, the same for all processes. `code_digest` is a hash of the task's code;
    the checkpoints depend on it.
    """

    backbone: Backbone
    train: Images
    test: Images
    device: torch.device
    directory: Path
    scratch: Path
    code_digest: str = ""


def load_task(name: str) -> ModuleType:
    """Import the module of a task, which defines `evaluate(context, options) -> metrics`.

    All processes call it; the metrics of rank zero count.
    """
    return importlib.import_module(f"whole_in_parts.evaluation.tasks.{name}")


def shared_class_names(context: TaskContext) -> list[str]:
    """List the names of the classes, which the labels index.

    Raises:
        Failure: the classes of the two splits differ.
    """
    train = context.train.shards
    test = context.test.shards
    if train.classes != test.classes:
        difference = sorted(set(train.classes).symmetric_difference(test.classes)) or ["their order"]
        raise Failure(
            f"{train.folder.parent}: the label spaces of train and test differ: {len(train.classes)} classes and "
            f"{len(test.classes)}; difference: {', '.join(difference[:5])}"
        )
    return train.classes


def decode_all(images: Images) -> None:
    """Decode every image, so that a broken image is reported before a long training; images that fit stay in memory.

    Processes share the images as `iter_rows` does, so that each holds those that it evaluates (a collective).

    Raises:
        Failure: an image cannot be decoded.
    """
    for _ in share_rows(lambda own: images[own][:, 0, 0, 0], np.arange(len(images)), BATCH, "decode"):
        pass


def checkpoints(context: TaskContext, options: TaskConfig) -> Checkpoints:
    """Return the checkpoints of a task, which depend on its options, torch's version, backbone, data and code."""
    state = hashlib.sha256(options.model_dump_json().encode() + torch.__version__.encode())
    for tensor in context.backbone.state_dict().values():
        state.update(tensor.cpu().contiguous().numpy().tobytes())
    state.update((context.train.shards.folder / INDEX).read_bytes())
    state.update(context.code_digest.encode())
    return Checkpoints(context.scratch / f"{options.name}_{state.hexdigest()[:16]}")


def resume(saved: Checkpoints, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Load the last checkpoint into model and optimizer; return the next step, 0 without a checkpoint.

    Raises:
        Failure: the checkpoint does not fit, or the processes differ in the step (a collective).
    """
    step = 0
    if state := saved.load():
        with saved.restoring():
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            step = state["step"]
    assert_same_config({"the step to go on from": str(step)})
    return step


def check_batch_size(batch_size: int) -> None:
    """Check that a batch divides into equal parts for all processes.

    Raises:
        Failure: it does not.
    """
    if batch_size % world_size():
        raise Failure(f"task.batch_size: {batch_size} images cannot be shared by {world_size()} processes")


def average_precision(relevant_R: Tensor, positives: int) -> float:
    """Compute the area, in [0, 1], under the precision-recall curve, by the trapezoidal rule.

    The j-th positive, at rank r, both counted from 0, adds the mean of the precisions just before it, j / r, and with
    it, (j + 1) / (r + 1); before the first rank, precision is one. This is how Oxford, Paris and Copydays are scored.
    scikit-learn's `average_precision_score` adds rectangles of the precision at each positive instead. It is never
    below this area, and equal to it if all positives rank first.

    Args:
        relevant_R: for each rank (R,), best first, whether it is a positive.
        positives: the number of positives, including those that are not ranked.
    """
    rank_J = relevant_R.nonzero()[:, 0].double()
    before_J = torch.arange(len(rank_J), device=rank_J.device).double()
    precision_J = torch.where(rank_J == 0, 1.0, before_J / rank_J.clamp(min=1)) + (before_J + 1) / (rank_J + 1)
    return precision_J.sum().item() / (2 * positives)


def mean_average_precision(precisions: list[float]) -> float:
    """Average over queries, in per cent."""
    return round(100 * sum(precisions) / len(precisions), 4)
