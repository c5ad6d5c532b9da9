"""The interface of the backbones, which have one file each in `backbones/`.

Shapes: B images, C channels and N×N positions of a feature map, D features of the global representation.
"""

import copy
import importlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from whole_in_parts.config.backbone import BackboneConfig
from whole_in_parts.config.precision import Precision
from whole_in_parts.models.precision import autocast, to_float32
from whole_in_parts.shapes import Float

BackboneT = TypeVar("BackboneT", bound="Backbone")


class Representations(NamedTuple):
    """The output of a backbone for a batch.

    `maps` are the feature maps (B, C, N, N) of its stages or blocks, first to last; `pooled_BC` is the mean of the
    last map over its positions ("patch" in the CO-SSL paper, section 4.1); `global_BD` is the global representation:
    `pooled_BC`, or the output of the layers that follow the last map. `class_tokens` are those (B, C) of a
    transformer's blocks, first to last, each after the final norm; a network without a class token has none.
    """

    maps: tuple[Tensor, ...]
    pooled_BC: Tensor
    global_BD: Tensor
    class_tokens: tuple[Tensor, ...] = ()

    @property
    def local_BCNN(self) -> Tensor:
        """The local representations: the last map, before pooling."""
        return self.maps[-1]

    def to_float32(self) -> "Representations":
        """Convert all representations to single precision."""
        maps, class_tokens = (tuple(map(to_float32, tensors)) for tensors in (self.maps, self.class_tokens))
        return Representations(maps, to_float32(self.pooled_BC), to_float32(self.global_BD), class_tokens)


class Backbone(nn.Module):
    """Map images (B, channels, H, W) in [0, 1] to `Representations`; normalisation is part of the network.

    A subclass sets `features` (D) and `widths` (C of every map) and implements `maps`. It overrides `global_features`
    if layers follow the pooling.
    """

    mean: Tensor
    std: Tensor
    features: int
    widths: list[int]
    class_tokens = 0
    """The number of class tokens that the network gives, one for each block of a transformer."""

    precision: Precision = "float32"
    """The precision of the layers in a forward pass; representations in bfloat16 are returned in float32."""

    convolutional = True
    """Whether the convolutions and pools, in order and without shortcuts, form the longest path of the network."""

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.arguments: Mapping[str, object] = {}
        """The arguments of timm's constructor, except the channels, if the network is one of timm's."""
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    @property
    def local_features(self) -> int:
        """The number of channels of the local representations."""
        return self.widths[-1]

    @property
    def stored(self) -> nn.Module:
        """The module whose state is saved: this backbone, or the network that it wraps."""
        return self

    def forward(self, images_BCHW: Float[Tensor, "B C H W"]) -> Representations:
        with autocast(self.precision, images_BCHW.device):
            representations = self.represent(self.normalised(images_BCHW))
        return representations.to_float32() if self.precision == "bfloat16" else representations

    def represent(self, x_BCHW: Tensor) -> Representations:
        """Compute all representations of normalised images."""
        return self.aggregate(self.maps(x_BCHW))

    def normalised(self, images_BCHW: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Standardise images by the mean and std of every channel, in channels-last memory format."""
        x_BCHW = (images_BCHW - self.mean) / self.std
        return x_BCHW.contiguous(memory_format=torch.channels_last)

    def maps(self, x_BCHW: Tensor) -> Sequence[Tensor]:
        """Compute the feature maps of normalised images, first to last."""
        raise NotImplementedError

    def aggregate(self, maps: Sequence[Tensor]) -> Representations:
        """Compute all representations from the maps, of which the last may have been masked."""
        pooled_BC = maps[-1].mean((2, 3))
        return Representations(tuple(maps), pooled_BC, self.global_features(pooled_BC, maps[-1]))

    def global_features(
        self, pooled_BC: Float[Tensor, "B C"], local_BCNN: Float[Tensor, "B C H W"]
    ) -> Float[Tensor, "B D"]:
        """Compute the global representation (B, D) from the last map and its mean over positions."""
        return pooled_BC

    def meta_copy(self: BackboneT) -> BackboneT:
        """Copy the backbone to the meta device, in evaluation mode: it infers shapes and computes nothing."""
        # Tensors that are on the meta device beforehand are not copied in memory.
        on_meta: dict[int, Tensor] = {id(buffer): buffer.to("meta") for buffer in self.buffers()}
        on_meta |= {id(parameter): nn.Parameter(parameter.to("meta")) for parameter in self.parameters()}
        meta_backbone = copy.deepcopy(self, on_meta).to("meta").eval().requires_grad_(False)
        meta_backbone.precision = "float32"  # the meta device has no autocast
        return meta_backbone

    def infer(self, image_size: int) -> Representations:
        """Infer the shapes of the representations of an image, on the meta device.

        Raises:
            ValueError: the backbone does not accept images of that size.
        """
        with torch.device("meta"):
            return self.meta_copy()(torch.empty(1, self.mean.shape[1], image_size, image_size))

    def map_sizes(self, image_size: int) -> list[int]:
        """Infer the side N of every map at an image size.

        Raises:
            ValueError: the backbone does not accept images of that size.
        """
        return [map_BCNN.shape[-1] for map_BCNN in self.infer(image_size).maps]


def build_backbone(options: BackboneConfig) -> Backbone:
    """Build the backbone of the file `backbones/{options.name}.py`, in channels-last memory format."""
    backbone: Backbone = importlib.import_module(f"whole_in_parts.models.backbones.{options.name}").build(options)
    return backbone.to(memory_format=torch.channels_last)
