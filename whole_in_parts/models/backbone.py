"""Backbones, one file each: what they are given and what they give back.

Shapes: B images, C channels of a map, N×N positions of a map, D features of the global representation.
"""

import copy
import importlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from whole_in_parts.config.backbone import BackboneConfig


class Representations(NamedTuple):
    """What a backbone says of a batch.

    `maps` are the feature maps (B, C, N, N) of its stages or blocks, first to last; `pooled_BC` is the mean of the
    last one over its positions ("patch" in the CO-SSL paper, section 4.1); `global_BD` is the global representation:
    `pooled_BC` again, or what the layers after the last map make of it.
    """

    maps: tuple[Tensor, ...]
    pooled_BC: Tensor
    global_BD: Tensor

    @property
    def local_BCNN(self) -> Tensor:
        """The local representations: the map before pooling."""
        return self.maps[-1]


class Backbone(nn.Module):
    """Images (B, channels, H, W) in [0, 1] to `Representations`; normalisation is part of the network.

    A subclass sets `features` (D) and `widths` (C of each map), and gives the maps in `maps`; where the global
    representation is more than the pooled one, it overrides `whole`.
    """

    mean: Tensor
    std: Tensor
    features: int
    widths: list[int]
    convolutional = True
    """Whether its convolutions and pools, in order and without shortcuts, are its longest path."""

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.arguments: Mapping[str, object] = {}
        """What timm's constructor is given, beside the channels, for a network that timm knows."""
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    @property
    def local_features(self) -> int:
        """The channels of the local representations."""
        return self.widths[-1]

    @property
    def stored(self) -> nn.Module:
        """The module whose state is kept on disk: this one, or the one that it is a wrapper of."""
        return self

    def forward(self, images_BCHW: Tensor) -> Representations:
        return self.aggregate(self.maps(self.normalised(images_BCHW)))

    def normalised(self, images_BCHW: Tensor) -> Tensor:
        x_BCHW = (images_BCHW - self.mean) / self.std
        return x_BCHW.contiguous(memory_format=torch.channels_last)

    def maps(self, x_BCHW: Tensor) -> Sequence[Tensor]:
        """The feature maps of normalised images, first to last."""
        raise NotImplementedError

    def aggregate(self, maps: Sequence[Tensor]) -> Representations:
        """Pool the last of the maps: the network's own, or one that a mask has changed."""
        pooled_BC = maps[-1].mean((2, 3))
        return Representations(tuple(maps), pooled_BC, self.whole(pooled_BC, maps[-1]))

    def whole(self, pooled_BC: Tensor, local_BCNN: Tensor) -> Tensor:
        """The global representation (B, D) of a map, of which the pooled one is given too."""
        return pooled_BC

    def dry(self) -> Self:
        """A copy in evaluation mode on the meta device: its outputs have shapes, and nothing is computed."""
        return copy.deepcopy(self).to("meta").eval().requires_grad_(False)

    def map_sizes(self, image_size: int) -> list[int]:
        """The side N of each map at an image size.

        Raises:
            ValueError: the backbone does not take images of that size.
        """
        with torch.device("meta"):
            maps = self.dry()(torch.empty(1, self.mean.shape[1], image_size, image_size)).maps
        return [map_BCNN.shape[-1] for map_BCNN in maps]


def build_backbone(options: BackboneConfig) -> Backbone:
    """The backbone that `options.name` names: the file of that name in this folder."""
    backbone: Backbone = importlib.import_module(f"whole_in_parts.models.backbones.{options.name}").build(options)
    return backbone.to(memory_format=torch.channels_last)
