"""Barlow Twins (Zbontar et al., 2021, arXiv:2103.03230): the cross-correlation of two views is pulled to the identity.

Each dimension of the embedding is to agree between the views, and to be uncorrelated with the other dimensions
(`docs/methods.md` A.17).
"""

import torch
from torch import Tensor

from whole_in_parts.config.methods.barlow_twins import BarlowTwinsConfig
from whole_in_parts.methods.joint_embedding import JointEmbedding
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.heads import Heads, mlp
from whole_in_parts.shapes import Float

EPSILON = 1e-5
"""Added to the variance, as in the batch norm of the authors' code; a dimension that is constant stays finite."""


class BarlowTwins(JointEmbedding[BarlowTwinsConfig, Heads]):
    """One network encodes all views, with gradients through each. No layer of the projector has a bias (authors'
    code).
    """

    needs_global_batch = True

    def make_heads(self, features: int, options: BarlowTwinsConfig) -> Heads:
        return Heads(mlp([features, *options.projector], bias=False))

    def align(
        self, online_PBD: Float[Tensor, "#P B D"], target_PBD: Float[Tensor, "#P B D"], heads: Heads
    ) -> Float[Tensor, ""]:
        """Half of Σ (1 − c_ii)² + λ Σ c_ij² (i ≠ j), which is symmetric in both views; never negative."""
        online_PBD = standardised(online_PBD)
        target_PBD = standardised(target_PBD)
        diagonal_PD = (online_PBD * target_PBD).mean(1)
        invariance = (1 - diagonal_PD).square().sum(1).mean()
        redundancy = (squared_correlations(online_PBD, target_PBD) - diagonal_PD.square().sum(1)).mean()
        return (invariance + self.options.redundancy * redundancy) / 2


def standardised(z_PBD: Float[Tensor, "P B D"]) -> Float[Tensor, "P B D"]:
    """Embeddings with mean 0 and variance 1 over the batch, for each dimension."""
    variance_P1D, mean_P1D = torch.var_mean(z_PBD, 1, correction=0, keepdim=True)
    return (z_PBD - mean_P1D) / (variance_P1D + EPSILON).sqrt()


def squared_correlations(x_PBD: Float[Tensor, "#P B D"], y_PBD: Float[Tensor, "#P B D"]) -> Float[Tensor, "_"]:
    """The sum (P,) of all squared entries of xᵀy / B.

    It is the sum of the products of xxᵀ and yyᵀ too, which are smaller where the batch is smaller than the embedding.
    """
    _, batch, width = x_PBD.shape
    if width <= batch:
        return (x_PBD.mT @ y_PBD / batch).square().sum((1, 2))
    return ((x_PBD @ x_PBD.mT / batch) * (y_PBD @ y_PBD.mT / batch)).sum((1, 2))


def build(options: BarlowTwinsConfig, backbone: Backbone, classes: int, size: int) -> BarlowTwins:
    return BarlowTwins(backbone, options)
