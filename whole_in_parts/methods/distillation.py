"""The heads of self-distillation (DINO, Caron et al., 2021, arXiv:2104.14294, section 3.1) and of its variants.

Shapes: P positions, B images, C features, D dimensions of the bottleneck, K prototypes.
"""

import torch
from torch import Tensor, nn

from whole_in_parts.config.method import DistillationConfig
from whole_in_parts.distributed.collectives import all_reduce_mean
from whole_in_parts.methods.target_network import TeacherHeads
from whole_in_parts.models.ema import EMATeacher
from whole_in_parts.models.heads import apply_per_position, mlp
from whole_in_parts.models.precision import to_float32
from whole_in_parts.models.prototypes import Normalize, Prototypes
from whole_in_parts.schedules import Clock, ramp
from whole_in_parts.shapes import Float


class DistillationHeads(TeacherHeads):
    """An MLP to a unit vector, scored against prototypes; the teacher's scores are centred and sharpened.

    The centre is a moving average of the teacher's scores: one for all positions, or one for each of `centres`
    positions. Projector and prototypes have an EMA copy each, on the same schedule.
    """

    centre_P1K: Tensor

    def __init__(self, features: int, options: DistillationConfig, centres: int = 1) -> None:
        layers = mlp([features, *options.projector], norm=options.norm, activation=nn.GELU).apply(initialise)
        super().__init__(nn.Sequential(layers, Normalize()), None, options.momentum)
        self.options = options
        self.prototypes = EMATeacher(Prototypes(options.projector[-1], options.prototypes), options.momentum)
        self.register_buffer("centre_P1K", torch.zeros(centres, 1, options.prototypes))
        self.temperature = options.teacher_temperature[1]
        self.batch_centres: list[Tensor] = []

    def predict(self, z_PBD: Float[Tensor, "P B C"]) -> Float[Tensor, "P B D"]:
        return apply_per_position(self.prototypes.online, z_PBD)

    def target(self, x_PBC: Float[Tensor, "P B C"]) -> Float[Tensor, "P B D"]:
        """The teacher's distributions (P, B, K) over the prototypes; averages the batch's centre over all processes."""
        scores_PBK = to_float32(apply_per_position(self.prototypes.target, super().target(x_PBC)))
        dimensions = (0, 1) if len(self.centre_P1K) == 1 else (1,)
        self.batch_centres.append(all_reduce_mean(scores_PBK.mean(dimensions, keepdim=True)))
        return torch.softmax((scores_PBK - self.centre_P1K) / self.temperature, dim=-1)

    def prepare(self, clock: Clock) -> None:
        first, last = self.options.teacher_temperature
        self.temperature = ramp(first, last, clock.epoch, self.options.warmup_epochs)
        self.prototypes.online.frozen = clock.epoch < self.options.frozen_epochs

    def update(self, clock: Clock) -> None:
        super().update(clock)
        self.prototypes.ema_update(clock)
        self.centre_P1K.lerp_(torch.stack(self.batch_centres).mean(0), 1 - self.options.centre_momentum)
        self.batch_centres.clear()


def initialise(module: nn.Module) -> None:
    """Draw the weights of a linear layer from a truncated normal distribution and set its bias to zero."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
