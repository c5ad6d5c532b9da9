"""Joint embedding: the embedding of one view is aligned with that of another, as in most methods of this folder.

Shapes: B images, C channels, D embedding dimensions, P positions of a map of local representations (1 for a global
representation). Views come large ones first; only the first two are targets, whatever crops a modifier adds.
"""

from typing import Any, Generic, NamedTuple, TypeVar

from torch import Tensor

from whole_in_parts.augment.views import Batch
from whole_in_parts.config.method import JointEmbeddingConfig
from whole_in_parts.distributed.collectives import gather
from whole_in_parts.methods.base import Losses, Method, Output, kept_features
from whole_in_parts.models.backbone import Backbone, Representations
from whole_in_parts.models.heads import Heads
from whole_in_parts.models.precision import autocast_disabled, to_float32
from whole_in_parts.schedules import Clock
from whole_in_parts.shapes import Float

TARGETS = 2

OptionsT = TypeVar("OptionsT", bound=JointEmbeddingConfig)
HeadsT = TypeVar("HeadsT", bound=Heads)


class Encoded(NamedTuple):
    """The representations of every view by the online network, and of the first two by the target network."""

    online: list[Representations]
    target: list[Representations]


class Embedded(NamedTuple):
    """Embeddings (P, B, D): the projections and predictions of every view, and the targets of the first two."""

    projected: list[Tensor]
    online: list[Tensor]
    target: list[Tensor]


class JointEmbedding(Method, Generic[OptionsT, HeadsT]):
    """A base that aligns the online embedding of a view with the target embedding of another.

    Here online and target network are the same; `target_network.py` has the bases with an EMA copy. A subclass gives
    `make_heads` and `align`. Modifiers that align other representations, as `modifiers/co.py` does with local ones, use
    these two alone.
    """

    needs_global_batch = False
    """Whether `align` compares images with each other, and so needs the embeddings of all processes."""

    def __init__(self, backbone: Backbone, options: OptionsT) -> None:
        super().__init__()
        self.options = options
        self.add_backbone(backbone)
        self.heads = self.make_heads(backbone.features, options)

    def add_backbone(self, backbone: Backbone) -> None:
        self.backbone = backbone

    def make_heads(self, features: int, options: OptionsT) -> HeadsT:
        """Build heads for representations of `features` dimensions.

        Args:
            options: those of the method, of which a modifier may have changed widths.
        """
        raise NotImplementedError

    def align(
        self, online_PBD: Float[Tensor, "#P B D"], target_PBD: Float[Tensor, "#P B D"], heads: HeadsT
    ) -> Float[Tensor, ""]:
        """The loss between embeddings, a mean over batch and positions; either side may have P = 1.

        `heads` made the target and hold the rest of what the loss needs, such as a queue. The sum over both directions
        of two views is the loss of the base's paper.
        """
        raise NotImplementedError

    def forward(self, batch: Batch) -> Output:
        encoded = self.encode(batch.views)
        return Output(self.losses(self.embed_global(encoded)), self.kept_features(encoded))

    def encode(self, views: list[Tensor]) -> Encoded:
        online = [self.encode_online(view_BCSS) for view_BCSS in views]
        return Encoded(online, online[:TARGETS])

    def encode_online(self, view_BCSS: Tensor) -> Representations:
        return self.backbone(view_BCSS)

    def kept_features(self, encoded: Encoded) -> dict[str, Tensor]:
        """The representations of the large views by the network that is kept."""
        return kept_features(encoded.online[:TARGETS])

    def embed_global(self, encoded: Encoded) -> Embedded:
        """The embeddings of the global representations, with P = 1."""
        online = [view.global_BD[None] for view in encoded.online]
        target = [view.global_BD[None] for view in encoded.target]
        return self.embed(online, target, self.heads)

    def embed(self, online: list[Tensor], target: list[Tensor], heads: HeadsT) -> Embedded:
        """The embeddings of representations (P, B, C) by the given heads."""
        projected = [heads.project(x_PBC) for x_PBC in online]
        predicted = [heads.predict(z_PBD) for z_PBD in projected]
        targets = self.targets(target, projected, heads)
        return Embedded(projected, self.gather_embeddings(predicted), self.gather_embeddings(targets))

    def gather_embeddings(self, embeddings: list[Tensor]) -> list[Tensor]:
        """Embeddings in single precision; of all processes, where the loss compares images (a collective)."""
        embeddings = [to_float32(z_PBD) for z_PBD in embeddings]
        return [gather(z_PBD, 1) for z_PBD in embeddings] if self.needs_global_batch else embeddings

    def targets(self, target: list[Tensor], projected: list[Tensor], heads: HeadsT) -> list[Tensor]:
        """The target embeddings; with a single network these are the projections, with their gradient."""
        return projected[: len(target)]

    def losses(self, embedded: Embedded) -> Losses:
        """The base's own loss: the sum of `align` over the pairs of views."""
        with autocast_disabled(embedded.online[0]):
            terms = [
                self.align(embedded.online[view], embedded.target[target], self.heads)
                for view, target in self.pairs(len(embedded.online))
            ]
        return {"global": sum(terms[1:], terms[0])}

    def pairs(self, views: int) -> list[tuple[int, int]]:
        """The indices of the aligned views, (online, target): every target with every other view."""
        return [(view, target) for target in range(TARGETS) for view in range(views) if view != target]

    def pair_ratio(self, views: int) -> float:
        """The number of pairs relative to that of two views; the loss divided by it is a mean over more views."""
        return len(self.pairs(views)) / len(self.pairs(TARGETS))

    def project(self, global_BD: Float[Tensor, "B C"]) -> Float[Tensor, "B D"]:
        return self.heads.project(global_BD[None])[0]

    def prepare(self, clock: Clock) -> None:
        self.heads.prepare(clock)

    def update(self, clock: Clock) -> None:
        self.heads.update(clock)


AnyJointEmbedding = JointEmbedding[Any, Any]
"""A base as modifiers take it, whatever its options and heads are."""
