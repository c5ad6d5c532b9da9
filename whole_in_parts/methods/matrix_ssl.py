"""Matrix-SSL (Zhang et al., 2023, "Matrix information theory for self-supervised learning", arXiv:2305.17326).

Matrix cross-entropies pull the covariance between prediction and target towards the identity (uniformity) and the
covariance of the prediction towards that of the target (alignment). Their logarithm is a series around the identity
(`docs/methods.md` A.17, where p is the target and z the prediction).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from whole_in_parts.config.methods.matrix_ssl import MatrixSSLConfig
from whole_in_parts.methods.target_network import TargetNetwork, TeacherHeads
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.heads import simsiam_mlps
from whole_in_parts.shapes import Float

TERMS = 4
"""Terms of the series of the logarithm."""


class MatrixSSL(TargetNetwork[MatrixSSLConfig, TeacherHeads]):
    """The heads are SimSiam's, with an EMA copy of the projector."""

    needs_global_batch = True

    def make_heads(self, features: int, options: MatrixSSLConfig) -> TeacherHeads:
        return TeacherHeads(*simsiam_mlps(features, options), options.momentum)

    def align(
        self, online_PBD: Float[Tensor, "#P B D"], target_PBD: Float[Tensor, "#P B D"], heads: TeacherHeads
    ) -> Float[Tensor, ""]:
        """Half of −λ tr(log(C_tp + μI)) − γ tr((C_tt + μI) log(C_pp + μI)), of target and prediction, so that two
        directions are a mean.
        """
        options = self.options
        p_PBD = centred(online_PBD)
        t_PBD = centred(target_PBD)
        uniformity = -trace(logarithm(covariance(t_PBD, p_PBD), options.mu))
        plus_mu_PDD = covariance(t_PBD, t_PBD) + options.mu * identity(t_PBD)
        alignment = -trace(plus_mu_PDD @ logarithm(covariance(p_PBD, p_PBD), options.mu))
        return (options.uniformity * uniformity + options.alignment * alignment) / 2


def centred(z_PBD: Float[Tensor, "P B D"]) -> Float[Tensor, "P B D"]:
    """Unit vectors, less their mean over the batch."""
    z_PBD = F.normalize(z_PBD, dim=-1)
    return z_PBD - z_PBD.mean(1, keepdim=True)


def covariance(x_PBD: Tensor, y_PBD: Tensor) -> Tensor:
    """The covariance (P, D, D) of centred vectors."""
    return x_PBD.mT @ y_PBD / x_PBD.shape[1]


def identity(z_PBD: Tensor) -> Tensor:
    return torch.eye(z_PBD.shape[-1], dtype=z_PBD.dtype, device=z_PBD.device)


def logarithm(x_PDD: Float[Tensor, "P D D"], mu: float) -> Float[Tensor, "P D D"]:
    """The first terms of log(x + μI), in powers of x + (μ − 1)I."""
    x_PDD = x_PDD + (mu - 1) * identity(x_PDD)
    power_PDD = x_PDD
    total_PDD = x_PDD
    for term in range(2, TERMS + 1):
        power_PDD = power_PDD @ x_PDD
        total_PDD = total_PDD - (-1) ** term * power_PDD / term
    return total_PDD


def trace(x_PDD: Float[Tensor, "P D D"]) -> Float[Tensor, ""]:
    """The trace, a mean over positions."""
    return x_PDD.diagonal(dim1=1, dim2=2).sum(1).mean()


def build(options: MatrixSSLConfig, backbone: Backbone, classes: int, size: int) -> MatrixSSL:
    return MatrixSSL(backbone, options)
