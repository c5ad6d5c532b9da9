"""Joint embedding with a target network: a copy of the online one that follows it by a moving average."""

from typing import cast

import torch
from torch import Tensor, nn

from whole_in_parts.methods.joint_embedding import TARGETS, Encoded, JointEmbedding
from whole_in_parts.models.backbone import Backbone, Representations
from whole_in_parts.models.ema import EMATeacher
from whole_in_parts.models.heads import Heads, apply_per_position
from whole_in_parts.schedules import Clock


class TeacherHeads(Heads):
    """Heads of which the projector has a target; the predictor is the online network's alone."""

    projector: EMATeacher

    def __init__(self, projector: nn.Module, predictor: nn.Module | None, momentum: tuple[float, float]):
        super().__init__(EMATeacher(projector, momentum), predictor)

    def project(self, x_PBC: Tensor) -> Tensor:
        return apply_per_position(self.projector.online, x_PBC)

    def target(self, x_PBC: Tensor) -> Tensor:
        """The embeddings to draw to, by the target projector."""
        return apply_per_position(self.projector.target, x_PBC)

    def update(self, clock: Clock) -> None:
        self.projector.ema_update(clock)


class TargetNetwork(JointEmbedding):
    """A base with a target network; `options.momentum` is how it follows, `keep` which of the two is the result."""

    keep = "online"

    def add_backbone(self, backbone: Backbone) -> None:
        self.networks = EMATeacher(backbone, self.options.momentum)

    @property
    def backbone(self) -> Backbone:  # type: ignore[override]
        return cast(Backbone, getattr(self.networks, self.keep))

    def encode(self, views: list[Tensor]) -> Encoded:
        with torch.no_grad():
            target = [self.networks.target(view_BCSS) for view_BCSS in views[:TARGETS]]
        return Encoded([self.encode_online(view_BCSS) for view_BCSS in views], target)

    def encode_online(self, view_BCSS: Tensor) -> Representations:
        return self.networks.online(view_BCSS)

    @torch.no_grad()
    def targets(self, target: list[Tensor], projected: list[Tensor], heads: Heads) -> list[Tensor]:
        return [cast(TeacherHeads, heads).target(x_PBC) for x_PBC in target]

    def update(self, clock: Clock) -> None:
        super().update(clock)
        self.networks.ema_update(clock)
