"""Backbones, one file each: what they are given and what they give back."""

import importlib
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Representations(NamedTuple):
    """What a backbone says of a batch. B images, C channels, N×N positions, D features.

    `local` is the map before pooling, `pooled` its mean over positions ("patch" in the CO-SSL paper, section 4.1),
    `whole` the global representation: `pooled` again, or what an MLP makes of it.
    """

    local_BCNN: Tensor
    pooled_BC: Tensor
    whole_BD: Tensor


class Backbone(nn.Module):
    """Images (B, channels, H, W) in [0, 1] to `Representations`; normalisation is part of the network.

    A subclass sets `features` (D) and `local_features` (C), and gives the map in `local`; where the global
    representation is more than the pooled one, it overrides `whole`.
    """

    mean: Tensor
    std: Tensor
    features: int
    local_features: int

    def __init__(self, mean: list[float], std: list[float]):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, images_BCHW: Tensor) -> Representations:
        x_BCHW = (images_BCHW - self.mean) / self.std
        return self.aggregate(self.local(x_BCHW.contiguous(memory_format=torch.channels_last)))

    def local(self, x_BCHW: Tensor) -> Tensor:
        """The local representations (B, C, N, N) of normalised images."""
        raise NotImplementedError

    def aggregate(self, local_BCNN: Tensor) -> Representations:
        """Pool a map, of all positions or of those that a mask has left."""
        pooled_BC = local_BCNN.mean((2, 3))
        return Representations(local_BCNN, pooled_BC, self.whole(pooled_BC))

    def whole(self, pooled_BC: Tensor) -> Tensor:
        """The global representation (B, D) of pooled ones."""
        return pooled_BC


def build(options) -> Backbone:
    """The backbone that `options.name` names: the file of that name in this folder."""
    backbone = importlib.import_module(f"stages.backbones.{options.name}").build(options)
    return backbone.to(memory_format=torch.channels_last)
