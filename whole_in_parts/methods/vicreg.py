"""VICReg (Bardes et al., 2022, arXiv:2105.04906): invariance, variance and covariance.

The weights are those of the authors' code, where the variance term is the mean over the two views; solo-learn's is
their sum, which is `variance: 50` here.
"""

import torch.nn.functional as F
from torch import Tensor

from whole_in_parts.config.methods.vicreg import VICRegConfig
from whole_in_parts.methods.joint_embedding import JointEmbedding
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.heads import Heads, mlp
from whole_in_parts.shapes import Float


class VICReg(JointEmbedding[VICRegConfig, Heads]):
    """One network encodes all views, with gradients through each. The last layer has no bias (authors' code)."""

    needs_global_batch = True

    def make_heads(self, features: int, options: VICRegConfig) -> Heads:
        return Heads(mlp([features, *options.projector], last_bias=False))

    def align(
        self, online_PBD: Float[Tensor, "#P B D"], target_PBD: Float[Tensor, "#P B D"], heads: Heads
    ) -> Float[Tensor, ""]:
        """Half of the loss, which is symmetric in both views; never negative."""
        options = self.options
        invariance = (online_PBD - target_PBD).square().mean()
        spread = (variance(online_PBD) + variance(target_PBD)) / 2
        redundancy = sum(covariance(z_PBD) for z_PBD in (online_PBD, target_PBD))
        return (options.invariance * invariance + options.variance * spread + options.covariance * redundancy) / 2


def variance(z_PBD: Float[Tensor, "P B D"]) -> Float[Tensor, ""]:
    """The hinge loss on the standard deviation of each dimension over the batch, at one; a mean."""
    return F.relu(1 - (z_PBD.var(1) + 1e-4).sqrt()).mean()


def covariance(z_PBD: Float[Tensor, "P B D"]) -> Float[Tensor, ""]:
    """The squared off-diagonal covariances, summed and divided by D."""
    positions, batch, width = z_PBD.shape
    centred_PBD = z_PBD - z_PBD.mean(1, keepdim=True)
    covariance_PDD = centred_PBD.mT @ centred_PBD / (batch - 1)
    squares = covariance_PDD.square().sum() - covariance_PDD.diagonal(dim1=1, dim2=2).square().sum()
    return squares / (width * positions)


def build(options: VICRegConfig, backbone: Backbone, classes: int, size: int) -> VICReg:
    return VICReg(backbone, options)
