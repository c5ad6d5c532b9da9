"""Weighted cosine kNN: the nearest of a bank of features vote, by exp(similarity / temperature); exact, in chunks.

Shapes: N queries, B of a chunk, M features in the bank, D dimensions, K neighbours, C classes; W blocks
of S values, a rest of R, and P places that are looked at.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 2500
"""Queries that are compared with the whole bank at once: a product of fewer takes longer for each."""

SIMILARITIES = 125_000_000
"""The most that are held at once, 500 MB: a larger bank is compared with fewer queries."""

BLOCK = 16
"""Similarities of which the largest is found first."""


def chunks(queries_ND: Tensor, bank: int) -> tuple[Tensor, ...]:
    """The queries, as many at a time as a bank of that many features allows."""
    return queries_ND.split(max(1, min(CHUNK, SIMILARITIES // bank)))


def nearest(bank_MD: Tensor, labels_M: Tensor, chunks: Iterable[Tensor], k: int) -> tuple[Tensor, Tensor]:
    """The cosine similarities (N, K) of queries to their nearest in the bank, and the labels (N, K) of those.

    Args:
        chunks: the queries, so many at a time (·, D).
    """
    bank_DM, found = F.normalize(bank_MD).T, []
    for chunk_BD in chunks:
        similarity_BK, numbers_BK = largest(F.normalize(chunk_BD.to(bank_DM.device)) @ bank_DM, k)
        found.append((similarity_BK.cpu(), labels_M[numbers_BK].cpu()))
    similarities, labels = zip(*found, strict=True)
    return torch.cat(similarities), torch.cat(labels)


def largest(values_BM: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest values (B, K) and their places (B, K), as `topk` has them, which is slow over so many.

    None of them lies outside the k blocks whose maxima are the largest: there are k values in these that are not less.
    What fills no block stands beside them. The n-th of W blocks has the values n, n + W, n + 2 W, …
    """
    blocks = values_BM.shape[1] // BLOCK
    if blocks <= k:
        return values_BM.topk(k)
    cut_BSW = values_BM[:, : blocks * BLOCK].unflatten(1, (BLOCK, blocks))
    best_B1K = cut_BSW.amax(1).topk(k, sorted=False).indices[:, None]
    first_S1 = torch.arange(0, blocks * BLOCK, blocks, device=values_BM.device)[:, None]
    rest_R = torch.arange(blocks * BLOCK, values_BM.shape[1], device=values_BM.device)
    places_BP = torch.cat([(best_B1K + first_S1).flatten(1), rest_R.expand(len(values_BM), -1)], 1)
    found_BK, at_BK = values_BM.gather(1, places_BP).topk(k)
    return found_BK, places_BP.gather(1, at_BK)


def vote(similarity_NK: Tensor, labels_NK: Tensor, temperature: float) -> Tensor:
    """The sum of the votes (N, C) for each class; the nearest neighbour's vote counts one, so none overflows."""
    votes_NC = torch.zeros(len(labels_NK), int(labels_NK.max()) + 1)
    nearer_NK = similarity_NK - similarity_NK[:, :1]
    return votes_NC.scatter_add_(1, labels_NK, (nearer_NK / temperature).exp())
