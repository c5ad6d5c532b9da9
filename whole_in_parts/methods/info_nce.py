"""InfoNCE: a query identifies its own key among candidates (van den Oord et al., 2018, arXiv:1807.03748).

Shapes: P positions (1 is broadcast to any number), B images, D dimensions, N candidates.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from whole_in_parts.shapes import Float


def info_nce(
    query_PBD: Float[Tensor, "#P B D"],
    key_PBD: Float[Tensor, "#P B D"],
    temperature: float,
    among: Float[Tensor, "_ B D"] | None = None,
) -> Float[Tensor, ""]:
    """The cross-entropy of each query's own key among the keys of the batch at the same position, a mean.

    With `among` (P, B, D), such as the queries themselves, the vectors of other images there are candidates too.
    """
    query_PBD = F.normalize(query_PBD, dim=-1)
    logits_PBN = query_PBD @ F.normalize(key_PBD, dim=-1).mT
    if among is not None:
        logits_PBN = torch.cat([logits_PBN, negatives(query_PBD, among).expand(len(logits_PBN), -1, -1)], -1)
    return diagonal_cross_entropy(logits_PBN / temperature)


def negatives(query_PBD: Float[Tensor, "P B D"], among_PBD: Float[Tensor, "_ B D"]) -> Float[Tensor, "_ B B"]:
    """Similarities (P, B, B) to the vectors of other images; −∞ for the query's own image."""
    similar_PBB = query_PBD @ F.normalize(among_PBD, dim=-1).mT
    own_BB = torch.eye(similar_PBB.shape[-1], dtype=torch.bool, device=similar_PBB.device)
    return similar_PBB.masked_fill(own_BB, -torch.inf)


def diagonal_cross_entropy(logits_PBN: Float[Tensor, "P B N"]) -> Float[Tensor, ""]:
    """The cross-entropy where candidate b is the correct one of image b."""
    positions, batch, _ = logits_PBN.shape
    labels_B = torch.arange(batch, device=logits_PBN.device)
    return F.cross_entropy(logits_PBN.flatten(0, 1), labels_B.repeat(positions))
