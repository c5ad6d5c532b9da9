"""The optimizers of a run and their learning rate: linear warm-up, then a half cosine to zero, a step at a time."""

import torch
from torch import nn
from torch.optim import Optimizer

from stages.methods import cosine

MOMENTUM = 0.9
LARS_TRUST = 0.02
"""The η of solo-learn's recipes for small images, with clipping (`methods.md`, section D)."""


def build(options, module: nn.Module) -> Optimizer:
    """An optimizer over what is trained; biases and norms (1-D parameters) get no weight decay, nor LARS's scaling."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in trained if parameter.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    if options.name == "adamw":
        return torch.optim.AdamW(groups, lr=options.learning_rate)
    if options.name == "sgd":
        return torch.optim.SGD(groups, lr=options.learning_rate, momentum=MOMENTUM)
    from timm.optim.lars import Lars

    groups[0]["always_adapt"] = True  # timm scales no group without weight decay, unless it is told to
    return Lars(groups, lr=options.learning_rate, momentum=MOMENTUM, trust_coeff=LARS_TRUST, trust_clip=True)


def learning_rate(step: int, steps: int, warmup: float, peak: float) -> float:
    """The rate of a step in 0 … steps − 1; `warmup` counts steps."""
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return cosine(peak, 0.0, (step - warmup) / max(1, steps - warmup))


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
