"""The training of a detector (`methods.md`, E.11): SGD with momentum on all its layers, and at the end the statistics
of its batch norms anew ("PreciseBN"). What a step sees is a function of seed and step; a killed training goes on.
"""

import hashlib

import numpy as np
import torch
from torch import Tensor, nn

from whole_in_parts.augment.randomness import hashes
from whole_in_parts.checkpoints import Checkpoints
from whole_in_parts.config.tasks.detection import DetectionConfig
from whole_in_parts.data.shards import INDEX
from whole_in_parts.evaluation.detection.model import Detector, Losses
from whole_in_parts.evaluation.detection.samples import Course
from whole_in_parts.evaluation.task import TaskContext
from whole_in_parts.failure import Failure
from whole_in_parts.progress import progress

MOMENTUM = 0.9
FIRST = 0.001
"""The learning rate of the first step, as a share of that after the warm-up."""


def train(context: TaskContext, options: DetectionConfig, classes: int) -> Detector:
    """A trained detector on a copy of the backbone; always the same for the same backbone, images and options.

    Raises:
        Failure: the images do not say what is to be learnt, or a loss is not finite.
        ValueError: fewer images have an object than a batch takes.
    """
    course = Course(context.train, options, context.device)
    torch.manual_seed(options.seed)
    model = Detector(context.backbone, classes, options).to(context.device).train()
    optimizer = torch.optim.SGD(model.parameters(), momentum=MOMENTUM, weight_decay=options.weight_decay)
    checkpoints = Checkpoints(context.directory.parent / f"detection_{digest(context, options)}")
    first = restore(checkpoints.load(), model, optimizer)
    bar = progress(range(first, options.steps), "train", unit="step", initial=first, total=options.steps)
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, options)
        losses = forward(model, course, options, step)
        optimizer.zero_grad()
        total(losses, step, options).backward()
        optimizer.step()
        if checkpoints.due():
            parts = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            checkpoints.save({"step": step + 1, **parts})
            bar.set_postfix({name: round(loss.item(), 3) for name, loss in losses.items()})
    renew(model, course, options)
    return model.eval()


def forward(model: Detector, course: Course, options: DetectionConfig, step: int) -> Losses:
    """The losses of the batch of a step; which anchors and regions are drawn is a function of seed and step too."""
    torch.manual_seed(int(hashes(np.array([step]), options.seed, "torch")[0]))
    images, targets = zip(*course.batch(step), strict=True)
    return model(list(images), list(targets))[1]


def total(losses: Losses, step: int, options: DetectionConfig) -> Tensor:
    """The sum of the losses.

    Raises:
        Failure: it is not finite.
    """
    loss = torch.stack(list(losses.values())).sum()
    if not loss.isfinite():
        raise Failure(
            f"task.learning_rate: at {options.learning_rate} the loss of step {step} is not finite; try a lower one or "
            "a longer task.warmup_steps"
        )
    return loss


def learning_rate(step: int, options: DetectionConfig) -> float:
    """The rate of a step: it rises in a line, and is a tenth from each drop on."""
    warm = min(1.0, FIRST + (1 - FIRST) * step / options.warmup_steps) if options.warmup_steps else 1.0
    return options.learning_rate * warm * 0.1 ** sum(step >= drop for drop in options.drops)


@torch.no_grad()
def renew(model: Detector, course: Course, options: DetectionConfig) -> None:
    """Take the mean of the batch statistics of further batches in place of the running ones."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    for step in progress(range(options.steps, options.steps + options.batches), "statistics", unit="batch"):
        total(forward(model, course, options, step), step, options)


def restore(state: dict | None, model: Detector, optimizer: torch.optim.Optimizer) -> int:
    """Put back what was saved; give the step that comes next."""
    if state is None:
        return 0
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"]


def digest(context: TaskContext, options: DetectionConfig) -> str:
    """Stands for all that a training depends on: options, backbone, data and code."""
    state = hashlib.sha256(options.model_dump_json().encode() + torch.__version__.encode())
    for tensor in context.backbone.state_dict().values():
        state.update(tensor.cpu().contiguous().numpy().tobytes())
    state.update((context.train.shards.folder / INDEX).read_bytes())
    state.update(context.code_digest.encode())
    return state.hexdigest()[:16]
