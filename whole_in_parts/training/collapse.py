"""How many ways embeddings differ in, and whether they differ at all. N images, D dimensions."""

import torch
import torch.nn.functional as F
from torch import Tensor

COLLAPSED = 0.1
"""A spread below this is a collapse: a tenth of what directions without any order have.

BYOL on digits and on Fashion-MNIST ends at 0.8 to 0.9, and a supervised backbone at 0.7; BYOL without its predictor
and with a gradient to both sides, at 0.01 to 0.05. Heads that have learned nothing have 0.06 to 0.15: only what a
training ends with is a sign. The rank is no bound of it, since with few dimensions it is low anyway.
"""

TINY = 1e-7


def rank(z_ND: Tensor) -> float:
    """RankMe (Garrido et al., 2023, arXiv:2210.02885): the effective rank, in [1, min(N, D)].

    The exponential of the entropy of the singular values, their sum made one.
    """
    values_K = torch.linalg.svdvals(z_ND.float())
    share_K = values_K / values_K.sum().clamp(min=TINY) + TINY
    return torch.exp(-(share_K * share_K.log()).sum()).item()


def spread(z_ND: Tensor) -> float:
    """The standard deviation of a dimension of the unit vectors, times √D (Chen and He, 2021, arXiv:2011.10566,
    section 4.1): 1 where they point anywhere, 0 where all point the same way.
    """
    unit_ND = F.normalize(z_ND.float())
    return (unit_ND.std(0, correction=0).mean() * unit_ND.shape[1] ** 0.5).item()


def collapsed(spread: float) -> bool:
    """Whether embeddings say next to nothing of the image."""
    return spread < COLLAPSED
