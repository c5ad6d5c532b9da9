"""The optimizers of a run and their schedules of learning rate and weight decay."""

from typing import NamedTuple

import torch
from torch import nn
from torch.optim import Optimizer

from whole_in_parts.config.runs import Run
from whole_in_parts.config.training import OptimizerOptions
from whole_in_parts.schedules import cosine

MOMENTUM = 0.9
BATCH = 256
"""The batch size for which learning rates are given; they are scaled linearly to the run's."""

DECAYED = 0
"""The index of the parameter group of matrices; biases and norms (1-D) have neither weight decay nor LARS."""

TINY = 1e-6
"""Added to a norm that a gradient is divided by."""


class Rates(NamedTuple):
    """Learning rate and weight decay of a step."""

    learning_rate: float
    weight_decay: float


def build_optimizer(options: OptimizerOptions, module: nn.Module) -> Optimizer:
    """Build the optimizer of the trainable parameters of a module."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in trained if parameter.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    fused = all(parameter.is_cuda for parameter in trained)
    if options.name == "adamw":
        return torch.optim.AdamW(groups, lr=options.learning_rate, fused=fused)
    if options.name == "sgd":
        return torch.optim.SGD(groups, lr=options.learning_rate, momentum=MOMENTUM, fused=fused)
    from timm.optim.lars import Lars

    groups[DECAYED]["always_adapt"] = True  # timm scales no group without weight decay, unless it is told to
    return Lars(
        groups,
        lr=options.learning_rate,
        momentum=MOMENTUM,
        trust_coeff=options.trust,
        trust_clip=options.clip_trust,
    )


def scheduled_rates(run: Run, step: int, steps_per_epoch: int) -> Rates:
    """Learning rate and weight decay of a step of a run, scaled to its batch size."""
    options = run.optimizer
    steps = run.epochs * steps_per_epoch
    warmup = options.warmup_epochs * steps_per_epoch
    scale = run.batch_size / BATCH
    return Rates(
        learning_rate(step, steps, warmup, options.learning_rate * scale, options.learning_rate_end * scale),
        weight_decay(step, steps, options.weight_decay, options.weight_decay_end),
    )


def learning_rate(step: int, steps: int, warmup: float, peak: float, end: float = 0.0) -> float:
    """The learning rate of a step in 0 … steps − 1: a linear warm-up of `warmup` steps, then a half cosine to `end`."""
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return cosine(peak, end, (step - warmup) / max(1, steps - warmup))


def weight_decay(step: int, steps: int, start: float, end: float | None = None) -> float:
    """The weight decay of a step in 0 … steps − 1: a half cosine to `end`, or constant without one."""
    return start if end is None else cosine(start, end, step / steps)


def set_rates(optimizer: Optimizer, rates: Rates) -> None:
    """Set learning rate and weight decay for the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rates.learning_rate
    optimizer.param_groups[DECAYED]["weight_decay"] = rates.weight_decay


@torch.no_grad()
def clip_gradients(module: nn.Module, norm: float) -> None:
    """Clip the gradient of each parameter tensor to `norm`, as DINO's code does."""
    for parameter in module.parameters():
        if parameter.grad is not None:
            parameter.grad.mul_((norm / (parameter.grad.norm() + TINY)).clamp(max=1))
