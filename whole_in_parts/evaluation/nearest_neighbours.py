"""Weighted cosine kNN: the nearest features of a bank vote with exp(similarity / temperature); exact, in chunks.

Shapes: N queries, B of a chunk, M features in the bank, D dimensions, K neighbours, C classes; W blocks of S values,
R remaining values and P candidates for the top k.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from whole_in_parts.config.evaluations import KNN
from whole_in_parts.shapes import Float, Int

CHUNK = 2500
"""Queries per chunk, compared with the whole bank at once; smaller matrix products take longer per query."""

SIMILARITIES = 125_000_000
"""The most similarities held at once, 500 MB; chunks for a large bank have fewer queries."""

BLOCK = 16
"""Similarities per block of `blockwise_topk`."""


def split_queries(queries_ND: Tensor, bank_size: int) -> tuple[Tensor, ...]:
    """Split queries into chunks (·, D) that keep memory bounded for a bank of `bank_size` features."""
    return queries_ND.split(max(1, min(CHUNK, SIMILARITIES // bank_size)))


def nearest(
    bank_MD: Float[Tensor, "M D"], labels_M: Int[Tensor, "M"], chunks: Iterable[Tensor], k: int
) -> tuple[Float[Tensor, "N K"], Int[Tensor, "N K"]]:
    """Find the k nearest features of the bank; return their cosine similarities (N, K), best first, and labels (N, K).

    Args:
        chunks: the queries, in chunks (·, D).
    """
    bank_DM = F.normalize(bank_MD).T
    similarities, labels = [], []
    for chunk_BD in chunks:
        similarity_BK, indices_BK = blockwise_topk(F.normalize(chunk_BD.to(bank_DM.device)) @ bank_DM, k)
        similarities.append(similarity_BK.cpu())
        labels.append(labels_M[indices_BK].cpu())
    return torch.cat(similarities), torch.cat(labels)


def votes(
    bank_MD: Float[Tensor, "M D"], labels_M: Int[Tensor, "M"], chunks: Iterable[Tensor], options: KNN
) -> dict[int, Tensor]:
    """Sum the votes (N, C) of the nearest of the bank, for each number of neighbours; chunks as in `nearest`."""
    # One search for the largest k: its first columns are the neighbours of every smaller k.
    similarity_NK, labels_NK = nearest(bank_MD, labels_M, chunks, max(options.neighbours))
    return {k: vote(similarity_NK[:, :k], labels_NK[:, :k], options.temperature) for k in options.neighbours}


def blockwise_topk(values_BM: Float[Tensor, "B M"], k: int) -> tuple[Float[Tensor, "B K"], Int[Tensor, "B K"]]:
    """Find the k largest values (B, K) and their indices (B, K), as `topk` does, but faster over many values.

    Only the k blocks with the largest maxima are searched, with the remaining values that fill no block: the k maxima
    are k values that no value of another block exceeds. Of W blocks, block n has the values n, n + W, n + 2 W, …
    """
    blocks = values_BM.shape[1] // BLOCK
    if blocks <= k:
        return values_BM.topk(k)

    # Select the blocks.
    blocks_BSW = values_BM[:, : blocks * BLOCK].unflatten(1, (BLOCK, blocks))
    best_B1K = blocks_BSW.amax(1).topk(k, sorted=False).indices[:, None]

    # Search the values of the selected blocks and the rest.
    offsets_S1 = torch.arange(0, blocks * BLOCK, blocks, device=values_BM.device)[:, None]
    rest_R = torch.arange(blocks * BLOCK, values_BM.shape[1], device=values_BM.device)
    candidates_BP = torch.cat([(best_B1K + offsets_S1).flatten(1), rest_R.expand(len(values_BM), -1)], 1)
    largest_BK, positions_BK = values_BM.gather(1, candidates_BP).topk(k)
    return largest_BK, candidates_BP.gather(1, positions_BK)


def vote(
    similarity_NK: Float[Tensor, "N K"], labels_NK: Int[Tensor, "N K"], temperature: float
) -> Float[Tensor, "N C"]:
    """Sum the votes (N, C) for each class; the nearest neighbour has the weight 1, so that no vote overflows."""
    votes_NC = torch.zeros(len(labels_NK), int(labels_NK.max()) + 1)
    relative_NK = similarity_NK - similarity_NK[:, :1]
    return votes_NC.scatter_add_(1, labels_NK, (relative_NK / temperature).exp())
