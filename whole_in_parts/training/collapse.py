"""Collapse diagnostics: RankMe and per-dimension standard deviation. N images, D dimensions."""

import torch
import torch.nn.functional as F
from torch import Tensor

COLLAPSED = 0.1
"""The spread below which embeddings count as collapsed: a tenth of that of isotropic directions.

BYOL on digits and on Fashion-MNIST ends at 0.8 to 0.9, and a supervised backbone at 0.7; BYOL without its predictor
and without the stop-gradient, at 0.01 to 0.05. Untrained heads have 0.06 to 0.15, so only the value at the end of a
training counts. The rank has no such bound, since it is low with few dimensions anyway.
"""

TINY = 1e-7


def rank(z_ND: Tensor) -> float:
    """RankMe (Garrido et al., 2023, arXiv:2210.02885): the effective rank, in [1, min(N, D)].

    The exponential of the entropy of the singular values, normalised to a sum of one.
    """
    values_K = torch.linalg.svdvals(z_ND.float())
    share_K = values_K / values_K.sum().clamp(min=TINY) + TINY
    return torch.exp(-(share_K * share_K.log()).sum()).item()


def spread(z_ND: Tensor) -> float:
    """The standard deviation of a dimension of the unit vectors, times √D (Chen and He, 2021, arXiv:2011.10566,
    section 4.1): 1 for isotropic directions, 0 where all vectors point the same way.
    """
    unit_ND = F.normalize(z_ND.float())
    return (unit_ND.std(0, correction=0).mean() * unit_ND.shape[1] ** 0.5).item()


def collapsed(spread: float) -> bool:
    """Whether embeddings hardly depend on the image."""
    return spread < COLLAPSED
