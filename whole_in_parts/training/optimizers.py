"""The optimizers of a run and what changes from step to step: learning rate and weight decay."""

from typing import NamedTuple

import torch
from torch import nn
from torch.optim import Optimizer

from whole_in_parts.schedules import cosine

MOMENTUM = 0.9
BATCH = 256
"""The batch that learning rates are given for."""

DECAYED, PLAIN = 0, 1
"""The groups of parameters: matrices, and the biases and norms (1-D) that neither weight decay nor LARS touches."""

TINY = 1e-6
"""What keeps a gradient of zero from being divided by its length."""


class Rates(NamedTuple):
    """What an optimizer is told before a step."""

    learning_rate: float
    weight_decay: float


def build_optimizer(options, module: nn.Module) -> Optimizer:
    """An optimizer over what is trained."""
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


def rates(run, step: int, per_epoch: int) -> Rates:
    """What holds for a step of a run."""
    options, steps, scale = run.optimizer, run.epochs * per_epoch, run.batch_size / BATCH
    warmup, peak, end = options.warmup_epochs * per_epoch, options.learning_rate, options.learning_rate_end
    return Rates(
        learning_rate(step, steps, warmup, peak * scale, end * scale),
        weight_decay(step, steps, options.weight_decay, options.weight_decay_end),
    )


def learning_rate(step: int, steps: int, warmup: float, peak: float, end: float = 0.0) -> float:
    """The rate of a step in 0 … steps − 1: up in a line for `warmup` steps, then down on a half cosine."""
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return cosine(peak, end, (step - warmup) / max(1, steps - warmup))


def weight_decay(step: int, steps: int, start: float, end: float | None = None) -> float:
    """The decay of a step in 0 … steps − 1: on a half cosine to `end`, or the same throughout."""
    return start if end is None else cosine(start, end, step / steps)


def set_rates(optimizer: Optimizer, rates: Rates) -> None:
    """Let the next step go by these rates."""
    for group in optimizer.param_groups:
        group["lr"] = rates.learning_rate
    optimizer.param_groups[DECAYED]["weight_decay"] = rates.weight_decay


@torch.no_grad()
def clip_gradients(module: nn.Module, norm: float) -> None:
    """Shorten the gradient of each parameter tensor that is longer than `norm`, as DINO's code does."""
    for parameter in module.parameters():
        if parameter.grad is not None:
            parameter.grad.mul_((norm / (parameter.grad.norm() + TINY)).clamp(max=1))
