"""Train a detector (`docs/methods.md`, E.11): SGD with momentum on all layers, then a recomputation of the batch-norm
statistics ("PreciseBN"). Batches are functions of seed and step; a killed training resumes from its checkpoint.
"""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from whole_in_parts.augment.randomness import hashes
from whole_in_parts.config.tasks.detection import DetectionConfig
from whole_in_parts.distributed.environment import is_rank_zero
from whole_in_parts.distributed.replica import replicate
from whole_in_parts.evaluation.detection.model import Detector, Losses
from whole_in_parts.evaluation.detection.samples import TrainingBatches
from whole_in_parts.evaluation.task import TaskContext, check_batch_size, checkpoints, resume
from whole_in_parts.failure import Failure
from whole_in_parts.progress import progress

MOMENTUM = 0.9
WARMUP_START = 0.001
"""The learning rate of the first step, as a share of that after the warm-up."""


def train(context: TaskContext, options: DetectionConfig, classes: int) -> Detector:
    """Train a detector on a copy of the backbone; deterministic for the same backbone, images and options.

    Several processes share each batch (a collective).

    Raises:
        Failure: an annotation is missing, the processes cannot share a batch equally, or a loss is not finite.
        ValueError: fewer images have an object than a batch takes.
    """
    check_batch_size(options.batch_size)
    batches = TrainingBatches(context.train, options, context.device)
    torch.manual_seed(options.seed)
    model = Detector(context.backbone, classes, options).to(context.device).train()
    replica = replicate(model, context.device)
    optimizer = torch.optim.SGD(model.parameters(), momentum=MOMENTUM, weight_decay=options.weight_decay)

    saved = checkpoints(context, options)
    first = resume(saved, model, optimizer)
    bar = progress(range(first, options.steps), "train", unit="step", initial=first, total=options.steps)

    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, options)

        losses = forward(replica, batches, options, step)
        optimizer.zero_grad()
        total_loss(losses, step, options).backward()
        optimizer.step()

        if is_rank_zero() and saved.due():
            state = {"step": step + 1, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
            saved.save(state)
            bar.set_postfix({name: round(loss.item(), 3) for name, loss in losses.items()})

    recompute_statistics(model, batches, options)
    return model.eval()


def forward(model: nn.Module, batches: TrainingBatches, options: DetectionConfig, step: int) -> Losses:
    """Compute the losses of this process's part of the batch of a step.

    Sampled anchors and regions are functions of seed, step and image.
    """
    seeds = hashes(batches.local_indices(step), options.seed, step, "torch")
    images, targets = zip(*batches.batch(step), strict=True)
    return model(list(images), list(targets), seeds.tolist())[1]


def total_loss(losses: Losses, step: int, options: DetectionConfig) -> Tensor:
    """Sum the losses.

    Raises:
        Failure: the sum is not finite.
    """
    loss = torch.stack(list(losses.values())).sum()
    if not loss.isfinite():
        raise Failure(
            f"task.learning_rate: at {options.learning_rate} the loss of step {step} is not finite; lower it or "
            "raise task.warmup_steps"
        )
    return loss


def learning_rate(step: int, options: DetectionConfig) -> float:
    """Compute the learning rate of a step: a linear warm-up, and a division by ten at each drop."""
    warm = min(1.0, WARMUP_START + (1 - WARMUP_START) * step / options.warmup_steps) if options.warmup_steps else 1.0
    return options.learning_rate * warm * 0.1 ** sum(step >= drop for drop in options.drops)


@torch.no_grad()
def recompute_statistics(model: Detector, batches: TrainingBatches, options: DetectionConfig) -> None:
    """Replace the running statistics of batch norms by the means of the statistics of further batches."""
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
            module.momentum = None  # a cumulative average
    for step in progress(range(options.steps, options.steps + options.batches), "statistics", unit="batch"):
        total_loss(forward(model, batches, options, step), step, options)
