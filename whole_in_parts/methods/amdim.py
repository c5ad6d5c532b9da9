"""AMDIM: the whole of one view tells the parts of another from the parts of other images (Bachman et al., 2019,
arXiv:1906.00910; `methods.md` A.17).

Three terms of noise-contrastive estimation in both directions: whole to deep map, whole to shallow map, and deep map
to deep map. The paper's own encoder has maps of 1×1, 5×5 and 7×7; here they are any backbone's, brought to `sides`.

Shapes: B images, C channels, D dimensions of the embedding, P positions, N×N positions.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whole_in_parts.augment.views import Batch
from whole_in_parts.distributed.collectives import gather
from whole_in_parts.methods.base import Losses, Method
from whole_in_parts.models.backbone import Backbone, Representations
from whole_in_parts.models.heads import apply_per_position, by_position, mlp
from whole_in_parts.models.precision import autocast_disabled, to_float32

CLIP = 20.0
"""Of the scores, softly."""

PENALTY = 5e-2
"""On the squared scores before they are clipped."""


class Parts(NamedTuple):
    """The embeddings of a view of all images: of the whole (1, B, D), and of the maps (P, B, D)."""

    whole: Tensor
    shallow: Tensor
    deep: Tensor


class AMDIM(Method):
    """One network sees both views."""

    def __init__(self, backbone: Backbone, options, size: int):
        super().__init__()
        check(backbone, options, size)
        self.backbone, self.options = backbone, options
        shallow, deep = (backbone.widths[layer - 1] for layer in options.layers)
        widths = {"whole": backbone.features, "shallow": shallow, "deep": deep}
        self.heads = nn.ModuleDict({name: mlp([width, *options.projector]) for name, width in widths.items()})

    def forward(self, batch: Batch) -> Losses:
        first, second = (self.embed(self.backbone(view)) for view in batch.views)
        with autocast_disabled(first.whole):
            terms = [self.direction(first, second), self.direction(second, first)]
        return {"contrast": (terms[0][0] + terms[1][0]) / 2, "penalty": (terms[0][1] + terms[1][1]) / 2}

    def embed(self, view: Representations) -> Parts:
        maps = [
            by_position(F.adaptive_avg_pool2d(view.maps[layer - 1], side))
            for layer, side in zip(self.options.layers, self.options.sides, strict=True)
        ]
        given = {"whole": view.global_BD[None], "shallow": maps[0], "deep": maps[1]}
        return Parts(
            *(gather(to_float32(apply_per_position(self.heads[name], x_PBC)), 1) for name, x_PBC in given.items())
        )

    def direction(self, one: Parts, other: Parts) -> tuple[Tensor, Tensor]:
        """The sum of the three terms, and the penalty on their scores."""
        some_B = torch.randint(len(one.deep), (one.deep.shape[1],), device=one.deep.device)
        position_1BD = one.deep[some_B, torch.arange(len(some_B), device=some_B.device)][None]
        pairs = [(one.whole, other.deep), (one.whole, other.shallow), (position_1BD, other.deep)]
        terms = [nce_loss(source_1BD, parts_PBD) for source_1BD, parts_PBD in pairs]
        return torch.stack([term[0] for term in terms]).sum(), PENALTY * torch.stack([term[1] for term in terms]).sum()

    def project(self, global_BD: Tensor) -> Tensor:
        return self.heads["whole"](global_BD)


def nce_loss(source_1BD: Tensor, parts_PBD: Tensor) -> tuple[Tensor, Tensor]:
    """How well each source tells each part of its image from the parts of all others, and its mean squared score.

    Each part of an image is the right one in turn, against the parts of other images alone.
    """
    scores_PBB = torch.einsum("bd,pcd->pbc", source_1BD[0], parts_PBD) / parts_PBD.shape[-1] ** 0.5
    clipped_PBB = CLIP * torch.tanh(scores_PBB / CLIP)
    own_BB = torch.eye(scores_PBB.shape[-1], dtype=torch.bool, device=scores_PBB.device)
    wrong_B = clipped_PBB.masked_fill(own_BB, -torch.inf).logsumexp((0, 2))
    right_PB = clipped_PBB.diagonal(dim1=1, dim2=2)
    return (torch.logaddexp(right_PB, wrong_B) - right_PB).mean(), scores_PBB.square().mean()


def check(backbone: Backbone, options, size: int) -> None:
    """That the backbone has the maps that the options ask for.

    Raises:
        ValueError: it has not.
    """
    sides = backbone.map_sizes(size)
    for layer, side in zip(options.layers, options.sides, strict=True):
        if layer > len(sides):
            raise ValueError(f"method.layers: the backbone has the maps 1 to {len(sides)}, and no {layer}")
        if side > sides[layer - 1]:
            raise ValueError(f"method.sides: {side} is larger than map {layer}, which is {sides[layer - 1]} wide")


def build(options, backbone: Backbone, classes: int, size: int) -> AMDIM:
    return AMDIM(backbone, options, size)
