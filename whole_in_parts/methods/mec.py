"""MEC: maximum entropy coding (Liu et al., 2022, arXiv:2210.11464).

The batch's coding rate, to four terms of its Taylor series, is maximised between a prediction and the target embedding
of another view, so that one term rewards both agreement and spread (`docs/methods.md` A.17).
"""

import torch.nn.functional as F
from torch import Tensor

from whole_in_parts.config.methods.mec import MECConfig
from whole_in_parts.methods.target_network import TargetNetwork, TeacherHeads
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.heads import simsiam_mlps
from whole_in_parts.schedules import Clock, ramp
from whole_in_parts.shapes import Float

TERMS = 4
"""Terms of the Taylor series."""

START = 8
"""The factor of 1/λ at the start of the warm-up."""


class MEC(TargetNetwork[MECConfig, TeacherHeads]):
    """The heads are SimSiam's, with an EMA copy of the projector."""

    needs_global_batch = True
    decays_1d = True
    inverse_lambda_factor = 1.0

    def make_heads(self, features: int, options: MECConfig) -> TeacherHeads:
        return TeacherHeads(*simsiam_mlps(features, options), options.momentum)

    def align(
        self, online_PBD: Float[Tensor, "#P B D"], target_PBD: Float[Tensor, "#P B D"], heads: TeacherHeads
    ) -> Float[Tensor, ""]:
        """Half of −tr(log(I + λ p zᵀ)) / (λ B), to four terms; 1/λ = B · distortion / D, larger during the warm-up."""
        _, batch, width = online_PBD.shape
        inverse = self.inverse_lambda_factor * batch * self.options.distortion / width
        similar_PBB = F.normalize(online_PBD, dim=-1) @ F.normalize(target_PBD, dim=-1).mT / inverse
        return -trace_of_log(similar_PBB) * inverse / batch / 2

    def prepare(self, clock: Clock) -> None:
        super().prepare(clock)
        self.inverse_lambda_factor = ramp(START, 1.0, clock.epoch, self.options.warmup_epochs)


def trace_of_log(x_PNN: Float[Tensor, "P N N"]) -> Float[Tensor, ""]:
    """tr(x − x²/2 + x³/3 − x⁴/4), a mean over positions."""
    power_PNN = x_PNN
    total = x_PNN.diagonal(dim1=1, dim2=2).sum(1)
    for term in range(2, TERMS + 1):
        power_PNN = power_PNN @ x_PNN
        total = total - (-1) ** term * power_PNN.diagonal(dim1=1, dim2=2).sum(1) / term
    return total.mean()


def build(options: MECConfig, backbone: Backbone, classes: int, size: int) -> MEC:
    return MEC(backbone, options)
