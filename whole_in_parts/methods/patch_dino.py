"""Patch-wise DINO: a student matches the teacher's patches, as well as its whole, where crops overlap (Javidani et al.,
"Local-global self-supervised visual representation learning"; `methods.md` A.16).

One head serves the whole and the patches. Crops of a batch share their geometry, so that one matching serves all
images. Any backbone will do whose local and global representations are of one width: a ViT's tokens, or a map.

Tokens: T, of which the first is the whole and the others are the patches, row by row. B images, K prototypes.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from whole_in_parts.async_copy import copy_async
from whole_in_parts.augment.matching import PatchGrid, match
from whole_in_parts.augment.views import Batch, Crop
from whole_in_parts.methods.base import Losses, Method
from whole_in_parts.methods.distillation import DistillationHeads
from whole_in_parts.methods.joint_embedding import TARGETS
from whole_in_parts.models.backbone import Backbone, Representations
from whole_in_parts.models.ema import EMATeacher
from whole_in_parts.models.heads import by_position
from whole_in_parts.models.precision import to_float32
from whole_in_parts.schedules import Clock


class PatchDINO(Method):
    """The online network is the student; the target is the teacher, and is what is kept."""

    def __init__(self, backbone: Backbone, options, size: int):
        super().__init__()
        check(backbone, options, size)
        self.options = options
        self.networks = EMATeacher(backbone, options.momentum)
        centres = 1 + backbone.map_sizes(size)[-1] ** 2 if options.centre == "position" else 1
        self.heads = DistillationHeads(backbone.features, options, centres)

    @property
    def backbone(self) -> Backbone:  # type: ignore[override]
        return self.networks.target

    def crops(self, views: Sequence, size: int) -> list[Crop]:
        local = self.options.local
        small = [Crop(local.view, local.size, uniform=True)] * local.count
        return [Crop(view, size, uniform=True) for view in views[: self.views]] + small

    def forward(self, batch: Batch) -> Losses:
        with torch.no_grad():
            teacher = [self.heads.target(tokens(self.networks.target(view))) for view in batch.views[:TARGETS]]
        student = [
            F.log_softmax(self.score(tokens(self.networks.online(view))) / self.options.student_temperature, dim=-1)
            for view in batch.views
        ]
        placed = [self.place(batch, number, len(each_TBK)) for number, each_TBK in enumerate(student)]
        pairs = [(t, s) for t in range(TARGETS) for s in range(len(student)) if s != t]
        terms = [self.pair(teacher[t], student[s], placed[t], placed[s]) for t, s in pairs]
        return {"whole_and_patches": torch.stack(terms).mean()}

    def score(self, tokens_TBC: Tensor) -> Tensor:
        return to_float32(self.heads.predict(self.heads.project(tokens_TBC)))

    def place(self, batch: Batch, number: int, length: int) -> PatchGrid:
        """Where the patches of a crop lie in the image."""
        box = tuple(batch.boxes[number][0].tolist())
        return PatchGrid(box, bool(batch.flips[number][0]), round((length - 1) ** 0.5))

    def pair(self, teacher_TBK: Tensor, student_TBK: Tensor, teacher_at: PatchGrid, student_at: PatchGrid) -> Tensor:
        """The loss of one pair of crops, by the wholes and by their matched patches."""
        patches_T, patches_S = (
            copy_async(1 + numbers, teacher_TBK.device) for numbers in match(teacher_at, student_at)
        )
        whole = -(teacher_TBK[0] * student_TBK[0]).sum(-1).mean()
        patches_M = -(teacher_TBK[patches_T] * student_TBK[patches_S]).sum(-1).mean(-1)
        if self.options.loss == "sum":
            return whole + patches_M.sum()
        if self.options.loss == "mean":
            return (whole + patches_M.sum()) / (1 + len(patches_M))
        share = self.options.whole_share
        return share * whole + (1 - share) * (patches_M.mean() if len(patches_M) else 0.0)

    def project(self, global_BD: Tensor) -> Tensor:
        return self.heads.project(global_BD[None])[0]

    def prepare(self, clock: Clock) -> None:
        self.heads.prepare(clock)

    def update(self, clock: Clock) -> None:
        self.networks.ema_update(clock)
        self.heads.update(clock)


def tokens(view: Representations) -> Tensor:
    """The whole and the patches (T, B, C) of a view."""
    return torch.cat([view.global_BD[None], by_position(view.local_BCNN)])


def check(backbone: Backbone, options, size: int) -> None:
    """That one head can serve whole and patches.

    Raises:
        ValueError: their widths differ.
    """
    if backbone.widths[-1] != backbone.features:
        raise ValueError(
            f"backbone: patch_dino takes one whose local and global representations are of one width, and these are "
            f"of {backbone.widths[-1]} and {backbone.features}"
        )


def build(options, backbone: Backbone, classes: int, size: int) -> PatchDINO:
    return PatchDINO(backbone, options, size)
