"""Any network of timm (Wightman, 2019) that can give a feature map, with random weights.

There is a map for each stage of a convolutional network and for each block of a transformer (timm's
`forward_intermediates`), of which the last is what timm's head reads: a ViT's is behind its final norm. The whole
representation is what that head makes of an image before the classifier: the CLS token of a ViT, the pooled mean of
a ResNet. Where the head reads tokens, this does not follow from the map: of a map alone (`aggregate`) the pooled mean
is then all there is.
"""

import difflib
from collections.abc import Mapping
from typing import Any

import timm
import torch
from torch import Tensor, nn

from whole_in_parts.config.backbones.timm import TimmConfig
from whole_in_parts.models.backbone import Backbone, Representations

ANY_SIZE = {"dynamic_img_size": True}
"""Lets a ViT take images of another size than it is built for, by interpolating its position embedding."""


class Timm(Backbone):
    """timm's network as it is; its widths are found when it is built."""

    network: Any
    convolutional = False

    def __init__(self, options: TimmConfig) -> None:
        super().__init__(options.mean, options.std)
        self.name = options.model
        self.network, self.arguments = create(options)
        size = options.arguments.get("img_size", self.network.pretrained_cfg.get("input_size", [224])[-1])
        dry = self.dry()
        try:
            with torch.device("meta"):
                maps, final = dry.run(torch.empty(1, options.channels, size, size))
                global_BD = dry.network.forward_head(final, pre_logits=True)
        except Exception as error:  # what timm's networks raise where they cannot has no type in common
            raise ValueError(
                f"backbone.model: {self.name} gives no feature map ({error or type(error).__name__}); allowed is a "
                "model of timm whose forward_intermediates gives some, such as vit_tiny_patch16_224 or resnet50"
            ) from error
        self.head_reads_map = final is maps[-1]
        self.widths = [map_BCNN.shape[1] for map_BCNN in maps]
        self.features = global_BD.shape[1]

    @property
    def stored(self) -> nn.Module:
        return self.network

    def forward(self, images_BCHW: Tensor) -> Representations:
        maps, final = self.run(self.normalised(images_BCHW))
        global_BD = self.network.forward_head(final, pre_logits=True)
        return Representations(tuple(maps), maps[-1].mean((2, 3)), global_BD)

    def maps(self, x_BCHW: Tensor) -> list[Tensor]:
        return self.run(x_BCHW)[0]

    def run(self, x_BCHW: Tensor) -> tuple[list[Tensor], Tensor]:
        """The maps, and the features that timm's head reads, in the layout that it reads them in.

        Raises:
            ValueError: the network does not take images of that size.
        """
        try:
            final, maps = self.network.forward_intermediates(x_BCHW)
        except AssertionError as error:
            raise ValueError(
                f"backbone.model: {self.name} does not take images of {x_BCHW.shape[2]}×{x_BCHW.shape[3]}: {error}"
            ) from error
        return [*maps[:-1], as_map(final, maps[-1])], final

    def whole(self, pooled_BC: Tensor, local_BCNN: Tensor) -> Tensor:
        """What the head makes of the map, or the pooled mean where it reads something else.

        Raises:
            ValueError: it reads something else, and gives another number of features than the map has channels.
        """
        if self.head_reads_map:
            return self.network.forward_head(local_BCNN, pre_logits=True)
        if self.features != self.local_features:
            raise ValueError(
                f"backbone.model: the {self.features} features of {self.name} do not follow from its map of "
                f"{self.local_features} channels; allowed is a model in which both are as many"
            )
        return pooled_BC


def as_map(final: Tensor, last_BCNN: Tensor) -> Tensor:
    """The features before the head as a map (B, C, N, N) of as many positions as the last stage's.

    They come as (B, C, N, N), as (B, N, N, C), or as (B, tokens, C) with the positions last; from a network where
    they are something else, the last stage's map itself.
    """
    sides = last_BCNN.shape[2:]
    if not isinstance(final, Tensor):
        return last_BCNN
    if final.ndim == 4 and final.shape[2:] == sides:
        return final
    if final.ndim == 4 and final.shape[1:3] == sides:
        return final.permute(0, 3, 1, 2)
    if final.ndim == 3 and final.shape[1] >= sides.numel():
        return final[:, -sides.numel() :].transpose(1, 2).unflatten(2, sides)
    return last_BCNN


def create(options: TimmConfig) -> tuple[nn.Module, Mapping[str, object]]:
    """timm's network without a classifier, and the arguments that it is built with.

    Raises:
        ValueError: timm has no model of that name, or none with these arguments.
    """
    if not timm.is_model(options.model):
        close = ", ".join(difflib.get_close_matches(options.model, timm.list_models(), 3)) or "none"
        raise ValueError(
            f"backbone.model: timm {timm.__version__} has no {options.model!r}; close to it: {close}; "
            "timm.list_models() has all of them"
        )
    for arguments in (ANY_SIZE | options.arguments, options.arguments):
        try:
            return timm.create_model(options.model, num_classes=0, in_chans=options.channels, **arguments), arguments
        except (AssertionError, KeyError, RuntimeError, TypeError, ValueError) as error:
            refused = error
    raise ValueError(f"backbone.arguments: {options.model} cannot be built with {options.arguments}: {refused}")


def build(options: TimmConfig) -> Timm:
    return Timm(options)
