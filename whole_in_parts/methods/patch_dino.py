"""Patch-wise DINO: a student matches the teacher's patches, as well as its global representation, where crops overlap
(Javidani et al., "Local-global self-supervised visual representation learning"; `docs/methods.md` A.16).

One head serves global representation and patches. All images of a batch share the geometry of their crops, so a single
matching serves the batch. Any backbone will do whose local and global representations have the same width: a ViT's
tokens, or a map.

Tokens: T, the global representation first, then the patches row by row. B images, K prototypes.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from whole_in_parts.async_copy import copy_async
from whole_in_parts.augment.matching import PatchGrid, match
from whole_in_parts.augment.views import Batch, Crop
from whole_in_parts.config.methods.patch_dino import PatchDinoConfig
from whole_in_parts.config.views import View
from whole_in_parts.methods.base import Method, Output, kept_features
from whole_in_parts.methods.distillation import DistillationHeads
from whole_in_parts.methods.joint_embedding import TARGETS
from whole_in_parts.models.backbone import Backbone, Representations
from whole_in_parts.models.ema import EMATeacher
from whole_in_parts.models.heads import by_position
from whole_in_parts.models.precision import to_float32
from whole_in_parts.schedules import Clock
from whole_in_parts.shapes import Float


class PatchDINO(Method):
    """The online network is the student; the target network is the teacher, which is kept."""

    def __init__(self, backbone: Backbone, options: PatchDinoConfig, size: int) -> None:
        super().__init__()
        check(backbone, options, size)
        self.options = options
        self.networks = EMATeacher(backbone, options.momentum)
        centres = 1 + backbone.map_sizes(size)[-1] ** 2 if options.centre == "position" else 1
        self.heads = DistillationHeads(backbone.features, options, centres)

    @property
    def backbone(self) -> Backbone:  # type: ignore[override]
        return self.networks.target

    def crops(self, views: Sequence[View], size: int) -> list[Crop]:
        local = self.options.local
        small = [Crop(local.view, local.size, uniform=True)] * local.count
        return [Crop(view, size, uniform=True) for view in views[: self.views]] + small

    def forward(self, batch: Batch) -> Output:
        # Teacher: large views only, without gradients.
        with torch.no_grad():
            targets = [self.networks.target(view) for view in batch.views[:TARGETS]]
            teacher = [self.heads.target(tokens(view)) for view in targets]

        # Student: all crops.
        student = [
            F.log_softmax(self.score(tokens(self.networks.online(view))) / self.options.student_temperature, dim=-1)
            for view in batch.views
        ]

        placed = [self.place(batch, crop, len(scores_TBK)) for crop, scores_TBK in enumerate(student)]
        pairs = [(t, s) for t in range(TARGETS) for s in range(len(student)) if s != t]
        terms = [self.pair(teacher[t], student[s], placed[t], placed[s]) for t, s in pairs]
        losses = {"global_and_patches": torch.stack(terms).mean()}
        return Output(losses, kept_features(targets))

    def score(self, tokens_TBC: Tensor) -> Tensor:
        return to_float32(self.heads.predict(self.heads.project(tokens_TBC)))

    def place(self, batch: Batch, crop: int, tokens: int) -> PatchGrid:
        """The position of a crop and of its patches in the image."""
        box = tuple(batch.boxes[crop][0].tolist())
        return PatchGrid(box, bool(batch.flips[crop][0]), round((tokens - 1) ** 0.5))

    def pair(self, teacher_TBK: Tensor, student_TBK: Tensor, teacher_at: PatchGrid, student_at: PatchGrid) -> Tensor:
        """The loss of a pair of crops: of the global representations and of the matched patches."""
        patches_T, patches_S = (
            copy_async(1 + patches, teacher_TBK.device) for patches in match(teacher_at, student_at)
        )
        global_ = -(teacher_TBK[0] * student_TBK[0]).sum(-1).mean()
        patches_M = -(teacher_TBK[patches_T] * student_TBK[patches_S]).sum(-1).mean(-1)

        if self.options.loss == "sum":
            return global_ + patches_M.sum()
        if self.options.loss == "mean":
            return (global_ + patches_M.sum()) / (1 + len(patches_M))
        weight = self.options.global_weight
        return weight * global_ + (1 - weight) * (patches_M.mean() if len(patches_M) else 0.0)

    def project(self, global_BD: Float[Tensor, "B C"]) -> Float[Tensor, "B D"]:
        return self.heads.project(global_BD[None])[0]

    def prepare(self, clock: Clock) -> None:
        self.heads.prepare(clock)

    def update(self, clock: Clock) -> None:
        self.networks.ema_update(clock)
        self.heads.update(clock)


def tokens(view: Representations) -> Tensor:
    """The global representation and the patches (T, B, C) of a view."""
    return torch.cat([view.global_BD[None], by_position(view.local_BCNN)])


def check(backbone: Backbone, options: PatchDinoConfig, size: int) -> None:
    """Check that one head can serve global representation and patches.

    Raises:
        ValueError: their widths differ.
    """
    if backbone.widths[-1] != backbone.features:
        raise ValueError(
            f"backbone: patch_dino takes one whose local and global representations are of one width, and these are "
            f"of {backbone.widths[-1]} and {backbone.features}"
        )


def build(options: PatchDinoConfig, backbone: Backbone, classes: int, size: int) -> PatchDINO:
    return PatchDINO(backbone, options, size)
