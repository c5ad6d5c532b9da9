"""What most methods of `whole_in_parts/methods/` have in common: the embedding of one view is drawn to that of another.

Shapes: B images, C channels, D embedding dimensions, P positions of a map of local representations (1 for a global
one). Views come large ones first; only the first two are targets, whatever crops a modifier adds.
"""

from typing import NamedTuple

from torch import Tensor

from whole_in_parts.augment.views import Batch
from whole_in_parts.distributed.collectives import gather
from whole_in_parts.methods.base import Losses, Method
from whole_in_parts.models.backbone import Backbone, Representations
from whole_in_parts.models.heads import Heads
from whole_in_parts.models.precision import autocast_disabled, to_float32
from whole_in_parts.schedules import Clock

TARGETS = 2


class Encoded(NamedTuple):
    """The representations of each view by the online network, and of the first two by the target network."""

    online: list[Representations]
    target: list[Representations]


class Embedded(NamedTuple):
    """Embeddings (P, B, D) of each view: as projected, as predicted from there, and the targets of the first two."""

    projected: list[Tensor]
    online: list[Tensor]
    target: list[Tensor]


class JointEmbedding(Method):
    """A base that draws the online embedding of a view to the target embedding of another.

    Here online and target are one network; `target.py` has those with a copy that follows. A subclass gives
    `make_heads` and `align`. Whatever aligns other representations, as `modifiers/co.py` does with local ones, is
    written against these two.
    """

    needs_global_batch = False
    """Whether `align` compares images with each other, and so needs those of all processes."""

    def __init__(self, backbone: Backbone, options):
        super().__init__()
        self.options = options
        self.add_backbone(backbone)
        self.heads = self.make_heads(backbone.features)

    def add_backbone(self, backbone: Backbone) -> None:
        self.backbone = backbone

    def make_heads(self, features: int) -> Heads:
        """New heads for representations of `features` dimensions."""
        raise NotImplementedError

    def align(self, online_PBD: Tensor, target_PBD: Tensor, heads: Heads) -> Tensor:
        """The loss between embeddings, a mean over batch and positions; either may have P = 1.

        `heads` made the target, and hold what else the loss needs of them, such as a queue. The sum over both
        directions of two views is the base's loss as its paper has it.
        """
        raise NotImplementedError

    def forward(self, batch: Batch) -> Losses:
        return self.losses(self.embed_global(self.encode(batch.views)))

    def encode(self, views: list[Tensor]) -> Encoded:
        online = [self.encode_online(view_BCSS) for view_BCSS in views]
        return Encoded(online, online[:TARGETS])

    def encode_online(self, view_BCSS: Tensor) -> Representations:
        return self.backbone(view_BCSS)

    def embed_global(self, encoded: Encoded) -> Embedded:
        """The embeddings of the global representations, with P = 1."""
        online, target = ([view.global_BD[None] for view in views] for views in encoded)
        return self.embed(online, target, self.heads)

    def embed(self, online: list[Tensor], target: list[Tensor], heads: Heads) -> Embedded:
        """The embeddings of representations (P, B, C) by some heads."""
        projected = [heads.project(x_PBC) for x_PBC in online]
        predicted = [heads.predict(z_PBD) for z_PBD in projected]
        targets = self.targets(target, projected, heads)
        return Embedded(projected, self.compared(predicted), self.compared(targets))

    def compared(self, embeddings: list[Tensor]) -> list[Tensor]:
        """Embeddings as a loss takes them."""
        embeddings = [to_float32(z_PBD) for z_PBD in embeddings]
        return [gather(z_PBD, 1) for z_PBD in embeddings] if self.needs_global_batch else embeddings

    def targets(self, target: list[Tensor], projected: list[Tensor], heads: Heads) -> list[Tensor]:
        """The embeddings to draw to; where there is one network, they are the projections, with their gradient."""
        return projected[: len(target)]

    def losses(self, whole: Embedded) -> Losses:
        """The base's own loss: the sum of what `align` says of each pair."""
        pairs = self.pairs(len(whole.online))
        with autocast_disabled(whole.online[0]):
            terms = [self.align(whole.online[view], whole.target[target], self.heads) for view, target in pairs]
        return {"global": sum(terms[1:], terms[0])}

    def pairs(self, views: int) -> list[tuple[int, int]]:
        """The numbers of the views that are aligned, online and target: each target with each other view."""
        return [(view, target) for target in range(TARGETS) for view in range(views) if view != target]

    def pair_ratio(self, views: int) -> float:
        """How many times as many pairs there are as of two views; the loss divided by it is a mean over more views."""
        return len(self.pairs(views)) / len(self.pairs(TARGETS))

    def project(self, global_BD: Tensor) -> Tensor:
        return self.heads.project(global_BD[None])[0]

    def prepare(self, clock: Clock) -> None:
        self.heads.prepare(clock)

    def update(self, clock: Clock) -> None:
        self.heads.update(clock)
