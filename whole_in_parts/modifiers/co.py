"""CO-SSL: local representations aligned with the global one (Aubret et al., "Seeing the whole in the parts in
self-supervised representation learning", section 3.1).

For views v and v': what the base says of (local i of v, global of v') and of (global of v, local i of v'), each a
mean over the positions i, in both directions, weighted by w_s beside the base's own loss. The local heads are built
by the base, of the same sizes as its own, and the directions are those in which the base compares views.
"""

import torch.nn.functional as F
from torch import Tensor

from whole_in_parts.augment.views import Batch
from whole_in_parts.methods.base import Losses
from whole_in_parts.methods.joint_embedding import Embedded, Encoded, JointEmbedding
from whole_in_parts.models.backbone import Backbone, Representations
from whole_in_parts.models.heads import by_position
from whole_in_parts.models.precision import autocast_disabled
from whole_in_parts.modifiers.base import Modified
from whole_in_parts.schedules import Clock


class CO(Modified):
    """A joint-embedding base with a local term beside its own."""

    base: JointEmbedding

    def __init__(self, base: JointEmbedding, options, size: int):
        super().__init__(base, options)
        check(base.backbone, options, size)
        width = base.backbone.widths[options.layer - 1]
        self.local_heads = base.heads if options.shared_heads else base.make_heads(width)

    def forward(self, batch: Batch) -> Losses:
        encoded = self.base.encode(batch.views)
        whole, local = self.base.embed_global(encoded), self.embed_local(encoded)
        losses = self.base.losses(whole)
        with autocast_disabled(whole.online[0]):
            across = [self.across(view, target, whole, local) for view, target in self.base.pairs(len(batch.views))]
        losses["local"] = self.options.weight * sum(across[1:], across[0])
        return losses

    def embed_local(self, encoded: Encoded) -> Embedded:
        """The embeddings (P, B, D) of the local representations."""
        online, target = ([self.positions(view) for view in views] for views in encoded)
        return self.base.embed(online, target, self.local_heads)

    def positions(self, view: Representations) -> Tensor:
        """The local representations (P, B, C): all, or those of the nearest positions of a smaller map."""
        local_BCNN = view.maps[self.options.layer - 1]
        if size := self.options.map_size:
            local_BCNN = RESIZE[self.options.resize](local_BCNN, size)
        return by_position(local_BCNN)

    def across(self, first: int, second: int, whole: Embedded, local: Embedded) -> Tensor:
        """The local loss from one view to the other."""
        return self.base.align(local.online[first], whole.target[second], self.base.heads) + self.base.align(
            whole.online[first], local.target[second], self.local_heads
        )

    def prepare(self, clock: Clock) -> None:
        self.base.prepare(clock)
        if not self.options.shared_heads:
            self.local_heads.prepare(clock)

    def update(self, clock: Clock) -> None:
        self.base.update(clock)
        if not self.options.shared_heads:
            self.local_heads.update(clock)


def nearest(local_BCNN: Tensor, size: int) -> Tensor:
    """A subset of the positions."""
    return F.interpolate(local_BCNN, size=(size, size), mode="nearest")


RESIZE = {"nearest": nearest, "mean": F.adaptive_avg_pool2d}


def check(backbone: Backbone, options, size: int) -> None:
    """That the backbone has the map that the options ask for.

    Raises:
        ValueError: it has not.
    """
    layers, sides = len(backbone.widths), backbone.map_sizes(size)
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


def modify(method: JointEmbedding, options, size: int) -> CO:
    return CO(method, options, size)
