"""Methods of pretraining, one file each: what a base offers to the training loop and to the modifiers.

Shapes: B images, D embedding dimensions, P positions of the map of local representations (1 for a global one).
"""

import copy
import importlib
import math
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from stages.backbones import Backbone, Representations

Losses = dict[str, Tensor]


class Encoded(NamedTuple):
    """The representations of each view, by the online network and by the target network."""

    online: list[Representations]
    target: list[Representations]


class Embedded(NamedTuple):
    """The embeddings (P, B, D) of each view, by the online heads and by the target heads."""

    online: list[Tensor]
    target: list[Tensor]


class Method(nn.Module):
    """What is trained: a backbone and all that its loss needs.

    `backbone` is the network to keep; `views` is how many views of each image the method asks for.
    """

    backbone: Backbone
    views = 2

    def forward(self, views: list[Tensor], labels_B: Tensor) -> Losses:
        """The named terms of the loss; the loop sums and logs them. Views are (B, C, S, S) in [0, 1]."""
        raise NotImplementedError

    def update(self, progress: float) -> None:
        """Called after each optimizer step, with the share of the steps that are done, in (0, 1]."""


class Twin(nn.Module):
    """An online network and its target: a copy that no gradient reaches and that follows by a moving average.

    The target keeps running statistics of its own and runs in training mode (`methods.md` A.0, solo-learn).
    """

    def __init__(self, online: nn.Module):
        super().__init__()
        self.online = online
        self.target = copy.deepcopy(online).requires_grad_(False)

    @torch.no_grad()
    def follow(self, momentum: float) -> None:
        """target ← momentum · target + (1 − momentum) · online, for parameters alone."""
        for target, online in zip(self.target.parameters(), self.online.parameters(), strict=True):
            target.lerp_(online, 1 - momentum)


class Heads(nn.Module):
    """A projector, online and target, and the online network's predictor. All take (N, features)."""

    def __init__(self, projector: nn.Module, predictor: nn.Module):
        super().__init__()
        self.projector, self.predictor = Twin(projector), predictor

    def online(self, x_NC: Tensor) -> Tensor:
        return self.predictor(self.projector.online(x_NC))

    @torch.no_grad()
    def target(self, x_NC: Tensor) -> Tensor:
        return self.projector.target(x_NC)


class JointEmbedding(Method):
    """A base that draws the online embedding of a view to the target embedding of another.

    A subclass gives `make_heads` and `align`; whatever aligns other representations, as `modifiers/co.py` does
    with local ones, is written against these two.
    """

    def __init__(self, backbone: Backbone, options):
        super().__init__()
        self.options = options
        self.networks = Twin(backbone)
        self.heads = self.make_heads(backbone.features)

    def make_heads(self, features: int) -> Heads:
        """New heads for representations of `features` dimensions."""
        raise NotImplementedError

    def align(self, online_PBD: Tensor, target_PBD: Tensor) -> Tensor:
        """The loss between embeddings, a mean over batch and positions; either may have P = 1."""
        raise NotImplementedError

    @property
    def backbone(self) -> Backbone:  # type: ignore[override]
        return cast(Backbone, self.networks.online)

    def forward(self, views: list[Tensor], labels_B: Tensor) -> Losses:
        return self.losses(self.embed(self.encode(views)))

    def encode(self, views: list[Tensor]) -> Encoded:
        with torch.no_grad():
            target = [self.networks.target(view) for view in views]
        return Encoded([self.networks.online(view) for view in views], target)

    def embed(self, encoded: Encoded) -> Embedded:
        """The embeddings of the global representations, with P = 1."""
        return Embedded(
            [self.heads.online(view.whole_BD)[None] for view in encoded.online],
            [self.heads.target(view.whole_BD)[None] for view in encoded.target],
        )

    def losses(self, whole: Embedded) -> Losses:
        """The base's own loss, over both directions."""
        return {"global": self.align(whole.online[0], whole.target[1]) + self.align(whole.online[1], whole.target[0])}

    def update(self, progress: float) -> None:
        self.networks.follow(self.momentum(progress))
        self.heads.projector.follow(self.momentum(progress))

    def momentum(self, progress: float) -> float:
        """The share of the target that stays, on its half cosine from the first to the second given."""
        start, end = self.options.momentum
        return cosine(start, end, progress)


def cosine(start: float, end: float, progress: float) -> float:
    """The value at `progress` in [0, 1] of a half cosine from `start` to `end`."""
    return end - (end - start) * (1 + math.cos(math.pi * progress)) / 2


def build(options, backbone: Backbone, classes: int) -> Method:
    """The method that `options.name` names: the file of that name in this folder."""
    return importlib.import_module(f"stages.methods.{options.name}").build(options, backbone, classes)
