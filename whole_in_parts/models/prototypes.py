"""Prototypes, and the cross-entropy between two distributions over them: what DINO, SwAV and patch-wise DINO share.

Shapes: P positions, B images, K prototypes, D dimensions, N vectors.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Prototypes(nn.Module):
    """Scores of unit vectors against prototypes, which are unit vectors too: (N, D) to (N, prototypes).

    The weights start as those of a linear layer, whose length says how fast they turn. While `frozen`, no gradient
    reaches the prototypes, so that the optimizer leaves them as they are.
    """

    def __init__(self, features: int, prototypes: int) -> None:
        super().__init__()
        self.weight = nn.Linear(features, prototypes, bias=False).weight
        self.frozen = False

    def forward(self, z_ND: Tensor) -> Tensor:
        weight_KD = self.weight.detach() if self.frozen else self.weight
        return F.linear(z_ND, F.normalize(weight_KD))


class Normalize(nn.Module):
    """Vectors (N, D) to unit length."""

    def forward(self, x_ND: Tensor) -> Tensor:
        return F.normalize(x_ND)


def cross_entropy(scores_PBK: Tensor, target_PBK: Tensor, temperature: float) -> Tensor:
    """−Σ target · log softmax(scores / temperature), a mean over positions and images; either may have P = 1."""
    predicted_PBK = F.log_softmax(scores_PBK / temperature, dim=-1)
    positions = max(len(scores_PBK), len(target_PBK))
    return -torch.einsum("pbk,pbk->", predicted_PBK, target_PBK) / (positions * scores_PBK.shape[1])
