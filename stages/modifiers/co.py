"""CO-SSL: local representations aligned with the global one (Aubret et al., "Seeing the whole in the parts in
self-supervised representation learning", section 3.1).

For views v and v': what the base says of (local i of v, global of v') and of (global of v, local i of v'), each a
mean over the positions i, in both directions, weighted by w_s beside the base's own loss. The local heads are built
by the base, of the same sizes as its own: applied position by position, a linear layer is a 1×1 convolution, and a
batch norm over (B · P, C) is one over (B, C, N, N).
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from stages.backbones import Backbone
from stages.methods import Embedded, Encoded, JointEmbedding, Losses, Method


class CO(Method):
    """A joint-embedding base with a local term beside its own."""

    def __init__(self, base: JointEmbedding, options):
        super().__init__()
        self.base, self.options = base, options
        self.local_heads = base.heads if options.shared_heads else base.make_heads(base.backbone.local_features)

    @property
    def backbone(self) -> Backbone:  # type: ignore[override]
        return self.base.backbone

    def forward(self, views: list[Tensor], labels_B: Tensor) -> Losses:
        encoded = self.base.encode(views)
        whole, local = self.base.embed(encoded), self.embed(encoded)
        losses = self.base.losses(whole)
        losses["local"] = self.options.weight * (self.across(0, 1, whole, local) + self.across(1, 0, whole, local))
        return losses

    def embed(self, encoded: Encoded) -> Embedded:
        """The embeddings (P, B, D) of the local representations."""
        return Embedded(
            [self.embed_positions(view.local_BCNN, self.local_heads.online) for view in encoded.online],
            [self.embed_positions(view.local_BCNN, self.local_heads.target) for view in encoded.target],
        )

    def embed_positions(self, local_BCNN: Tensor, head: Callable[[Tensor], Tensor]) -> Tensor:
        """Embed each position of a map, or of a map brought to `options.map_size` by its nearest positions.

        Raises:
            ValueError: the map is smaller than `options.map_size`.
        """
        size, batch = self.options.map_size, len(local_BCNN)
        if size and size > local_BCNN.shape[-1]:
            raise ValueError(
                f"modifier.map_size: {size} is larger than the map, which is {local_BCNN.shape[-1]} wide; "
                "the backbone's strides and the image size set that"
            )
        if size:
            local_BCNN = F.interpolate(local_BCNN, size=(size, size), mode="nearest")
        positions_NC = local_BCNN.permute(0, 2, 3, 1).flatten(0, 2)
        return head(positions_NC).unflatten(0, (batch, -1)).transpose(0, 1)

    def across(self, first: int, second: int, whole: Embedded, local: Embedded) -> Tensor:
        """The local loss from one view to the other."""
        return self.base.align(local.online[first], whole.target[second]) + self.base.align(
            whole.online[first], local.target[second]
        )

    def update(self, progress: float) -> None:
        self.base.update(progress)
        if not self.options.shared_heads:
            self.local_heads.projector.follow(self.base.momentum(progress))


def modify(method: Method, options) -> CO:
    if not isinstance(method, JointEmbedding):
        raise ValueError(
            f"modifier: co aligns embeddings, and {type(method).__name__.lower()} has none; a base that has: byol"
        )
    return CO(method, options)
