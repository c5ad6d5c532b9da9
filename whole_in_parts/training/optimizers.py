"""The optimizers of a run and their schedules of learning rate and weight decay."""

from typing import Any, NamedTuple

import torch
from torch import nn
from torch.optim import Optimizer

from whole_in_parts.config.runs import Run
from whole_in_parts.config.training import OptimizerOptions
from whole_in_parts.methods.base import Method
from whole_in_parts.models.heads import Heads
from whole_in_parts.models.weight_decay import parameter_groups
from whole_in_parts.schedules import Schedule, cosine

MOMENTUM = 0.9
BATCH = 256
"""The batch size for which learning rates are given; they are scaled linearly to the run's."""

TINY = 1e-6
"""Added to a norm that a gradient is divided by."""


class Rates(NamedTuple):
    """Learning rate and weight decay of a step, and the peak learning rate of the run."""

    learning_rate: float
    weight_decay: float
    peak: float


def build_optimizer(options: OptimizerOptions, method: Method) -> Optimizer:
    """Build the optimizer of the trainable parameters of a method."""
    trained = [parameter for parameter in method.parameters() if parameter.requires_grad]
    constant = constant_rate_parameters(method)
    groups: list[dict[str, Any]] = []
    for is_constant in (False, True):
        part = [parameter for parameter in trained if (parameter in constant) == is_constant]
        pair = parameter_groups(part, options.weight_decay, decays_1d(options, method))
        groups += [group | {"constant_rate": is_constant} for group in pair]
    fused = all(parameter.is_cuda for parameter in trained)
    if options.name == "adamw":
        return torch.optim.AdamW(groups, lr=options.learning_rate, fused=fused)
    if options.name == "sgd":
        return torch.optim.SGD(groups, lr=options.learning_rate, momentum=MOMENTUM, fused=fused, foreach=not fused)
    # A local import, since timm takes two seconds to import.
    from whole_in_parts.training.lars import DecayedNormLars, Lars

    for group in groups:
        group["always_adapt"] = group["decays"]  # timm scales no group without weight decay, unless it is told to
    return (DecayedNormLars if options.trust_norm == "decayed" else Lars)(
        groups,
        lr=options.learning_rate,
        momentum=MOMENTUM,
        trust_coeff=options.trust,
        trust_clip=options.clip_trust,
    )


def constant_rate_parameters(method: Method) -> set[nn.Parameter]:
    """The parameters that are trained at the peak learning rate in every step."""
    heads = [module for module in method.modules() if isinstance(module, Heads) and module.constant_predictor_rate]
    return {parameter for module in heads for parameter in module.predictor.parameters()}


def decays_1d(options: OptimizerOptions, method: Method) -> bool:
    """Whether weight decay applies to biases and norms: what the options say, or else what the method's paper does."""
    if options.name == "lars":
        return False
    return method.decays_1d if options.decay_1d is None else options.decay_1d


def scheduled_rates(run: Run, step: int, steps_per_epoch: int) -> Rates:
    """Learning rate and weight decay of a step of a run; the learning rate is scaled to its batch size."""
    options = run.optimizer
    schedule = run_schedule(run, steps_per_epoch, options.learning_rate)._replace(
        start=options.learning_rate_start, end=options.learning_rate_end
    )
    decay = weight_decay(step, schedule.steps, options.weight_decay, options.weight_decay_end)
    return Rates(schedule.learning_rate(step), decay, schedule.peak)


def run_schedule(run: Run, steps_per_epoch: int, learning_rate: float) -> Schedule:
    """The schedule of a run, from and to zero, for a peak learning rate that is given for a batch of 256."""
    options = run.optimizer
    return Schedule(
        run.epochs * steps_per_epoch,
        options.warmup_epochs * steps_per_epoch,
        learning_rate * run.batch_size / BATCH,
        milestones=tuple(milestone * steps_per_epoch for milestone in options.milestones),
    )


def weight_decay(step: int, steps: int, start: float, end: float | None = None) -> float:
    """The weight decay of a step in 0 … steps − 1: a half cosine to `end`, or constant without one."""
    return start if end is None else cosine(start, end, step / steps)


def set_rates(optimizer: Optimizer, rates: Rates) -> None:
    """Set learning rate and weight decay for the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rates.peak if group["constant_rate"] else rates.learning_rate
        if group["decays"]:
            group["weight_decay"] = rates.weight_decay


@torch.no_grad()
def clip_gradients(module: nn.Module, norm: float) -> None:
    """Clip the gradient of each parameter tensor to `norm`, as DINO's code does."""
    for parameter in module.parameters():
        if parameter.grad is not None:
            parameter.grad.mul_((norm / (parameter.grad.norm() + TINY)).clamp(max=1))
