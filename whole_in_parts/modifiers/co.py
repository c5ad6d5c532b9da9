"""CO-SSL: local representations aligned with the global one (Aubret et al., "Seeing the whole in the parts in
self-supervised representation learning", section 3.1).

For views v and v': the base's loss between (local i of v, global of v') and between (global of v, local i of v'), each
a mean over the positions i, in both directions, weighted by w_s and added to the base's own loss. The base builds the
local heads, of the widths of its own unless the options give others, and gives the directions of the comparisons.
"""

import torch.nn.functional as F
from torch import Tensor

from whole_in_parts.augment.views import Batch
from whole_in_parts.config.modifiers.co import COConfig
from whole_in_parts.methods.base import Output
from whole_in_parts.methods.joint_embedding import AnyJointEmbedding, Embedded, Encoded
from whole_in_parts.models.backbone import Backbone, Representations
from whole_in_parts.models.heads import by_position
from whole_in_parts.models.precision import autocast_disabled
from whole_in_parts.modifiers.base import Modified
from whole_in_parts.schedules import Clock


class CO(Modified[AnyJointEmbedding, COConfig]):
    """A joint-embedding base with a local term beside its own."""

    def __init__(self, base: AnyJointEmbedding, options: COConfig, size: int) -> None:
        super().__init__(base, options)
        check(base.backbone, options, size)
        width = base.backbone.widths[options.layer - 1]
        local_options = base.options.model_copy(update=options.head_widths())
        self.local_heads = base.heads if options.shared_heads else base.make_heads(width, local_options)

    def forward(self, batch: Batch) -> Output:
        encoded = self.base.encode(batch.views)
        global_ = self.base.embed_global(encoded)
        local = self.embed_local(encoded)
        losses = self.base.losses(global_)

        with autocast_disabled(global_.online[0]):
            terms = [
                self.local_loss(view, target, global_, local) for view, target in self.base.pairs(len(batch.views))
            ]
        losses["local"] = self.options.weight * sum(terms[1:], terms[0])
        return Output(losses, self.base.kept_features(encoded))

    def embed_local(self, encoded: Encoded) -> Embedded:
        """The embeddings (P, B, D) of the local representations."""
        online = [self.positions(view) for view in encoded.online]
        target = [self.positions(view) for view in encoded.target]
        return self.base.embed(online, target, self.local_heads)

    def positions(self, view: Representations) -> Tensor:
        """The local representations (P, B, C) of a view: all, or those of the nearest positions of a smaller map."""
        local_BCNN = view.maps[self.options.layer - 1]
        if size := self.options.map_size:
            local_BCNN = RESIZE[self.options.resize](local_BCNN, size)
        return by_position(local_BCNN)

    def local_loss(self, view: int, target: int, global_: Embedded, local: Embedded) -> Tensor:
        """The loss between the local representations of one view and the global one of the other, both ways."""
        local_to_global = self.base.align(local.online[view], global_.target[target], self.base.heads)
        global_to_local = self.base.align(global_.online[view], local.target[target], self.local_heads)
        return local_to_global + global_to_local

    def prepare(self, clock: Clock) -> None:
        self.base.prepare(clock)
        if not self.options.shared_heads:
            self.local_heads.prepare(clock)

    def update(self, clock: Clock) -> None:
        self.base.update(clock)
        if not self.options.shared_heads:
            self.local_heads.update(clock)


def nearest(local_BCNN: Tensor, size: int) -> Tensor:
    """A subset of the positions, `size` × `size`."""
    return F.interpolate(local_BCNN, size=(size, size), mode="nearest")


RESIZE = {"nearest": nearest, "mean": F.adaptive_avg_pool2d}


def check(backbone: Backbone, options: COConfig, size: int) -> None:
    """Check that the backbone has the map that the options name.

    Raises:
        ValueError: the map does not exist or is too small, or shared heads do not fit it.
    """
    layers = len(backbone.widths)
    sides = backbone.map_sizes(size)
    if options.layer > layers:
        raise ValueError(f"modifier.layer: the backbone has the maps 1 to {layers}, and no {options.layer}")
    if options.map_size > sides[options.layer - 1]:
        raise ValueError(
            f"modifier.map_size: {options.map_size} is larger than the map, which is {sides[options.layer - 1]} wide; "
            "the backbone's strides and the image size set that"
        )
    if options.shared_heads and backbone.widths[options.layer - 1] != backbone.features:
        raise ValueError(
            f"modifier.shared_heads: the heads take {backbone.features} features, and a position of this map has "
            f"{backbone.widths[options.layer - 1]}"
        )


def modify(method: AnyJointEmbedding, options: COConfig, size: int) -> CO:
    return CO(method, options, size)
