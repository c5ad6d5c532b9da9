"""Any network of timm (Wightman, 2019) that has a feature map, with random weights.

There is a map per stage of a convolutional network and per block of a transformer (timm's `forward_intermediates`). The
last map is the input of timm's head: for a ViT, after its final norm. The global representation is the output of that
head before the classifier: the CLS token of a ViT, the pooled mean of a ResNet. If the head reads tokens, it cannot be
computed from the map, and then `aggregate` gives the pooled mean instead.
"""

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

import timm
import torch
from torch import Tensor, nn

from whole_in_parts.config.backbones.timm import TimmConfig
from whole_in_parts.models.backbone import Backbone, Representations
from whole_in_parts.models.position_embedding import interpolate_as_dino

ANY_SIZE = {"dynamic_img_size": True}
"""Make a ViT accept any image size by interpolating its position embedding."""


class Timm(Backbone):
    """timm's network, unchanged; a forward pass on the meta device infers its widths."""

    network: Any
    convolutional = False

    def __init__(self, options: TimmConfig) -> None:
        super().__init__(options.mean, options.std)
        self.name = options.model
        self.network, self.arguments = create(options)
        self.positions = options.positions
        if options.positions == "dino":
            interpolate_as_dino(self.network)

        size = options.arguments.get("img_size", self.network.pretrained_cfg.get("input_size", [224])[-1])
        meta_backbone = self.meta_copy()
        try:
            with torch.device("meta"):
                maps, final, class_tokens = meta_backbone.run(torch.empty(1, options.channels, size, size))
                global_BD = meta_backbone.network.forward_head(final, pre_logits=True)
        except Exception as error:  # timm's networks raise errors of many types
            raise ValueError(
                f"backbone.model: {self.name} gives no feature map ({error or type(error).__name__}); allowed are "
                "models of timm with forward_intermediates, such as vit_tiny_patch16_224 or resnet50"
            ) from error

        self.head_reads_map = final is maps[-1]
        self.widths = [map_BCNN.shape[1] for map_BCNN in maps]
        self.features = global_BD.shape[1]
        self.class_tokens = len(class_tokens)

    @property
    def stored(self) -> nn.Module:
        return self.network

    def represent(self, x_BCHW: Tensor) -> Representations:
        maps, final, class_tokens = self.run(x_BCHW)
        global_BD = self.network.forward_head(final, pre_logits=True)
        return Representations(tuple(maps), maps[-1].mean((2, 3)), global_BD, class_tokens)

    def maps(self, x_BCHW: Tensor) -> list[Tensor]:
        return self.run(x_BCHW)[0]

    def run(self, x_BCHW: Tensor) -> tuple[list[Tensor], Tensor, tuple[Tensor, ...]]:
        """Compute the maps, the input of timm's head in its own layout, and the class tokens (B, C) of all blocks.

        Raises:
            ValueError: the network does not accept images of that size.
        """
        with_tokens = gives_class_tokens(self.network)
        options = {"return_prefix_tokens": True} if with_tokens else {}
        try:
            final, maps = self.network.forward_intermediates(x_BCHW, **options)
        except AssertionError as error:
            raise ValueError(
                f"backbone.model: {self.name} does not take images of {x_BCHW.shape[2]}×{x_BCHW.shape[3]}: {error}"
            ) from error

        class_tokens: tuple[Tensor, ...] = ()
        if with_tokens:
            maps, prefixes = zip(*maps, strict=True)
            class_tokens = tuple(self.network.norm(tokens_BLC[:, 0]) for tokens_BLC in prefixes)
        return [*maps[:-1], as_map(final, maps[-1])], final, class_tokens

    def global_features(self, pooled_BC: Tensor, local_BCNN: Tensor) -> Tensor:
        """Apply the head to the map, or take the pooled mean if the head reads tokens.

        Raises:
            ValueError: the head reads tokens, and its output is not as wide as the map.
        """
        if self.head_reads_map:
            return self.network.forward_head(local_BCNN, pre_logits=True)
        if self.features != self.local_features:
            raise ValueError(
                f"backbone.model: the {self.features} features of {self.name} cannot be computed from its map of "
                f"{self.local_features} channels; allowed are models where both numbers are equal"
            )
        return pooled_BC


def gives_class_tokens(network: Any) -> bool:
    """Whether a network has a class token, and timm returns it for each block."""
    options = inspect.signature(network.forward_intermediates).parameters
    return getattr(network, "cls_token", None) is not None and "return_prefix_tokens" in options


def as_map(final: Tensor, last_BCNN: Tensor) -> Tensor:
    """Reshape the input of the head to a map (B, C, N, N) with the positions of the last stage.

    It is (B, C, N, N), (B, N, N, C) or (B, tokens, C) with the positions last. Any other layout gives the map of the
    last stage.
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
    """Build timm's network without a classifier; return it with the arguments that timm accepted.

    Raises:
        ValueError: timm has no model of that name, or its model does not accept these arguments.
    """
    if not timm.is_model(options.model):
        close = ", ".join(difflib.get_close_matches(options.model, timm.list_models(), 3)) or "none"
        raise ValueError(
            f"backbone.model: timm {timm.__version__} has no {options.model!r}; similar names: {close}; "
            "timm.list_models() lists all of them"
        )

    # Not every network has the argument for any size, so the second attempt leaves it out.
    for arguments in (ANY_SIZE | options.arguments, options.arguments):
        try:
            return timm.create_model(options.model, num_classes=0, in_chans=options.channels, **arguments), arguments
        except (AssertionError, KeyError, RuntimeError, TypeError, ValueError) as error:
            reason = error
    raise ValueError(f"backbone.arguments: {options.model} cannot be built with {options.arguments}: {reason}")


def build(options: TimmConfig) -> Timm:
    """Build a network of timm."""
    return Timm(options)
