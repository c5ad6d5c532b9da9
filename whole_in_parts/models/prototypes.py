"""Prototypes, and the cross-entropy between distributions over them, shared by DINO, SwAV and patch-wise DINO.

Shapes: P positions, B images, K prototypes, D dimensions, N vectors.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whole_in_parts.shapes import Float


class Prototypes(nn.Module):
    """Score unit vectors (N, D) by their cosine similarity to every prototype: (N, K).

    The weights are initialised like a linear layer and normalised in the forward pass, so their length sets how fast
    their direction changes. While `frozen`, the prototypes receive no gradient and the optimizer skips them.
    """

    def __init__(self, features: int, prototypes: int) -> None:
        super().__init__()
        self.weight = nn.Linear(features, prototypes, bias=False).weight
        self.frozen = False

    def forward(self, z_ND: Tensor) -> Tensor:
        weight_KD = self.weight.detach() if self.frozen else self.weight
        return F.linear(z_ND, F.normalize(weight_KD))


class Normalize(nn.Module):
    """Scale vectors (N, D) to unit length."""

    def forward(self, x_ND: Tensor) -> Tensor:
        return F.normalize(x_ND)


def cross_entropy(
    scores_PBK: Float[Tensor, "#P B K"], target_PBK: Float[Tensor, "#P B K"], temperature: float
) -> Float[Tensor, ""]:
    """Compute −Σ target · log softmax(scores / temperature), averaged over positions and images.

    Scores or target may have P = 1, which broadcasts.
    """
    log_p_PBK = F.log_softmax(scores_PBK / temperature, dim=-1)
    positions = max(len(scores_PBK), len(target_PBK))
    return -torch.einsum("pbk,pbk->", log_p_PBK, target_PBK) / (positions * scores_PBK.shape[1])
