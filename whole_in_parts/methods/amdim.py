"""AMDIM: the global embedding of a view predicts the local embeddings of the other, against those of other images
(Bachman et al., 2019, arXiv:1906.00910; `docs/methods.md` A.17).

Three terms of noise-contrastive estimation in both directions: global to deep map, global to shallow map, and deep map
to deep map. The paper's own encoder has maps of 1×1, 5×5 and 7×7; here the maps of any backbone are pooled to `sides`.

Shapes: B images, C channels, D dimensions of the embedding, P positions, N×N positions.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whole_in_parts.async_copy import copy_async
from whole_in_parts.augment.views import Batch
from whole_in_parts.config.methods.amdim import AMDIMConfig
from whole_in_parts.distributed.collectives import gather
from whole_in_parts.methods.base import Method, Output, kept_features
from whole_in_parts.models.backbone import Backbone, Representations
from whole_in_parts.models.heads import apply_per_position, by_position, mlp
from whole_in_parts.models.precision import autocast_disabled, to_float32
from whole_in_parts.shapes import Float

CLIP = 20.0
"""Scores are soft-clipped to ±CLIP."""

PENALTY = 5e-2
"""The weight of the squared scores before they are clipped."""


class Embedding(NamedTuple):
    """The embeddings of a view of all images: global (1, B, D), and of two maps (P, B, D)."""

    global_: Tensor
    shallow: Tensor
    deep: Tensor


class AMDIM(Method):
    """One network encodes both views."""

    def __init__(self, backbone: Backbone, options: AMDIMConfig, size: int) -> None:
        super().__init__()
        check(backbone, options, size)
        self.backbone = backbone
        self.options = options
        shallow, deep = (backbone.widths[layer - 1] for layer in options.layers)
        widths = {"global_": backbone.features, "shallow": shallow, "deep": deep}
        self.heads = nn.ModuleDict({name: mlp([width, *options.projector]) for name, width in widths.items()})

    def forward(self, batch: Batch) -> Output:
        views = [self.backbone(view) for view in batch.views]
        first, second = (self.embed(view) for view in views)

        with autocast_disabled(first.global_):
            contrast, penalty = self.direction(first, second)
            other_contrast, other_penalty = self.direction(second, first)
        losses = {"contrast": (contrast + other_contrast) / 2, "penalty": (penalty + other_penalty) / 2}
        return Output(losses, kept_features(views))

    def embed(self, view: Representations) -> Embedding:
        """The embeddings of a view, gathered from all processes (a collective)."""
        maps = [
            by_position(F.adaptive_avg_pool2d(view.maps[layer - 1], side))
            for layer, side in zip(self.options.layers, self.options.sides, strict=True)
        ]
        representations = {"global_": view.global_BD[None], "shallow": maps[0], "deep": maps[1]}
        embeddings = {
            name: gather(to_float32(apply_per_position(self.heads[name], x_PBC)), 1)
            for name, x_PBC in representations.items()
        }
        return Embedding(**embeddings)

    def direction(self, source: Embedding, target: Embedding) -> tuple[Tensor, Tensor]:
        """The sum of the three terms, and the penalty on their scores."""
        positions, batch, _ = source.deep.shape
        drawn_B = copy_async(torch.randint(positions, (batch,)), source.deep.device)
        position_1BD = source.deep[drawn_B, torch.arange(batch, device=drawn_B.device)][None]

        pairs = [(source.global_, target.deep), (source.global_, target.shallow), (position_1BD, target.deep)]
        terms = [nce_loss(source_1BD, target_PBD) for source_1BD, target_PBD in pairs]
        losses = torch.stack([loss for loss, _ in terms]).sum()
        return losses, PENALTY * torch.stack([squares for _, squares in terms]).sum()

    def project(self, global_BD: Float[Tensor, "B C"]) -> Float[Tensor, "B D"]:
        return self.heads["global_"](global_BD)


def nce_loss(
    source_1BD: Float[Tensor, "1 B D"], target_PBD: Float[Tensor, "P B D"]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Noise-contrastive estimation, and the mean squared score.

    Each position of an image is the positive in turn; the negatives are all positions of the other images.
    """
    scores_PBB = torch.einsum("bd,pcd->pbc", source_1BD[0], target_PBD) / target_PBD.shape[-1] ** 0.5
    clipped_PBB = CLIP * torch.tanh(scores_PBB / CLIP)

    same_image_BB = torch.eye(scores_PBB.shape[-1], dtype=torch.bool, device=scores_PBB.device)
    negatives_B = clipped_PBB.masked_fill(same_image_BB, -torch.inf).logsumexp((0, 2))
    positives_PB = clipped_PBB.diagonal(dim1=1, dim2=2)
    return (torch.logaddexp(positives_PB, negatives_B) - positives_PB).mean(), scores_PBB.square().mean()


def check(backbone: Backbone, options: AMDIMConfig, size: int) -> None:
    """Check that the backbone has the maps that the options name.

    Raises:
        ValueError: a map does not exist or is too small.
    """
    sides = backbone.map_sizes(size)
    for layer, side in zip(options.layers, options.sides, strict=True):
        if layer > len(sides):
            raise ValueError(f"method.layers: the backbone has the maps 1 to {len(sides)}, and no {layer}")
        if side > sides[layer - 1]:
            raise ValueError(f"method.sides: {side} is larger than map {layer}, which is {sides[layer - 1]} wide")


def build(options: AMDIMConfig, backbone: Backbone, classes: int, size: int) -> AMDIM:
    return AMDIM(backbone, options, size)
