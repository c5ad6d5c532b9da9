"""ARB: a view is aligned with an orthonormal base instead of the other view (Zhang et al., "Align representations with
base: a new approach to self-supervised learning", CVPR 2022; the loss of the authors' code, `docs/methods.md` A.17).

The base is the nearest one to the other view's embeddings whose dimensions are uncorrelated: these embeddings, whitened
symmetrically. No gradient reaches it.

Shapes: P positions, B images, D dimensions, E of them in a group, G groups.
"""

import torch
from torch import Tensor

from whole_in_parts.async_copy import copy_async
from whole_in_parts.config.methods.arb import ARBConfig
from whole_in_parts.methods.joint_embedding import JointEmbedding
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.heads import Heads, mlp
from whole_in_parts.shapes import Float

EPSILON = 1e-5
"""Added to the deviation of a dimension, and to the eigenvalues of the covariance (authors' code)."""


class ARB(JointEmbedding[ARBConfig, Heads]):
    """One network encodes all views. No layer of the projector has a bias (authors' code)."""

    needs_global_batch = True

    def make_heads(self, features: int, options: ARBConfig) -> Heads:
        return Heads(mlp([features, *options.projector], bias=False))

    def align(
        self, online_PBD: Float[Tensor, "#P B D"], target_PBD: Float[Tensor, "#P B D"], heads: Heads
    ) -> Float[Tensor, ""]:
        """Σ (1 − c)² over the dimensions, c the correlation with the same dimension of the base; a mean over positions.

        Never negative. The groups are the same for both sides.
        """
        online_PBD = standardised(online_PBD)
        target_PBD = standardised(target_PBD.detach())
        groups = self.options.groups
        if groups > 1:
            shuffled_D = copy_async(torch.randperm(online_PBD.shape[-1]), online_PBD.device)
            online_PBD = online_PBD[..., shuffled_D]
            target_PBD = target_PBD[..., shuffled_D]

        target_GPBE = torch.stack(target_PBD.chunk(groups, -1))
        base_PBD = torch.cat(list(nearest_base(target_GPBE)), -1)
        correlation_PD = (online_PBD * base_PBD).mean(1)
        return (1 - correlation_PD).square().sum(1).mean()


def standardised(z_PBD: Float[Tensor, "P B D"]) -> Float[Tensor, "P B D"]:
    """Embeddings with mean 0 and deviation 1 over the batch, for each dimension."""
    return (z_PBD - z_PBD.mean(1, keepdim=True)) / (z_PBD.std(1, keepdim=True) + EPSILON)


@torch.no_grad()
def nearest_base(z_GPBE: Float[Tensor, "G P B E"]) -> Float[Tensor, "G P B E"]:
    """Multiply centred embeddings z by the inverse root of their covariance C = zᵀz / (B − 1), plus ε.

    z C^(−1/2) equals (zzᵀ / (B − 1))^(−1/2) z, whose matrix is smaller where the batch is smaller than the group.
    An accelerator is waited for, since the eigenvalues are checked.
    """
    batch, width = z_GPBE.shape[-2:]
    gram_GPNN = z_GPBE.mT @ z_GPBE if width <= batch else z_GPBE @ z_GPBE.mT
    values_GPN, vectors_GPNN = torch.linalg.eigh(gram_GPNN / (batch - 1))
    scales_GPN1 = (values_GPN.clamp(min=0) + EPSILON).rsqrt()[..., None]
    root_GPNN = vectors_GPNN @ (scales_GPN1 * vectors_GPNN.mT)
    return z_GPBE @ root_GPNN if width <= batch else root_GPNN @ z_GPBE


def build(options: ARBConfig, backbone: Backbone, classes: int, size: int) -> ARB:
    return ARB(backbone, options)
