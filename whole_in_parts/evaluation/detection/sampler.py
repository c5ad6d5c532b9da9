"""Sample anchors and regions for the losses of a detector, the same for any number of processes."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler


class SeededSampler(BalancedPositiveNegativeSampler):
    """torchvision's sampler, which draws for each image from its seed, so that a sample does not depend on the batch.

    Without `seeds` it draws from the current state of torch's generator.
    """

    seeds: Sequence[int] = ()

    def __call__(self, matched_idxs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:  # named by the library
        if not self.seeds:
            return super().__call__(matched_idxs)
        positive, negative = [], []
        for seed, matched_A in zip(self.seeds, matched_idxs, strict=True):
            torch.manual_seed(seed)
            (positive_A,), (negative_A,) = super().__call__([matched_A])
            positive.append(positive_A)
            negative.append(negative_A)
        return positive, negative
