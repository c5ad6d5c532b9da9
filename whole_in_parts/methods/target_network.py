"""Joint embedding with a target network: an EMA copy of the online network (BYOL's target, MoCo's momentum encoder,
DINO's teacher).

Shapes: P positions, B images, C features, D embedding dimensions.
"""

from typing import TypeVar

import torch
from torch import Tensor, nn

from whole_in_parts.config.method import TargetNetworkConfig
from whole_in_parts.methods.base import kept_features
from whole_in_parts.methods.joint_embedding import TARGETS, Encoded, JointEmbedding
from whole_in_parts.models.backbone import Backbone, Representations
from whole_in_parts.models.ema import EMATeacher
from whole_in_parts.models.heads import Heads, apply_per_position
from whole_in_parts.schedules import Clock
from whole_in_parts.shapes import Float


class TeacherHeads(Heads):
    """A projector with an EMA copy, the target projector; the predictor belongs to the online network alone."""

    projector: EMATeacher[nn.Module]

    def __init__(self, projector: nn.Module, predictor: nn.Module | None, momentum: tuple[float, float]) -> None:
        super().__init__(EMATeacher(projector, momentum), predictor)

    def project(self, x_PBC: Float[Tensor, "P B C"]) -> Float[Tensor, "P B D"]:
        return apply_per_position(self.projector.online, x_PBC)

    def target(self, x_PBC: Float[Tensor, "P B C"]) -> Float[Tensor, "P B D"]:
        """The target embeddings (P, B, D), by the target projector."""
        return apply_per_position(self.projector.target, x_PBC)

    def update(self, clock: Clock) -> None:
        self.projector.ema_update(clock)


OptionsT = TypeVar("OptionsT", bound=TargetNetworkConfig)
HeadsT = TypeVar("HeadsT", bound=TeacherHeads)


class TargetNetwork(JointEmbedding[OptionsT, HeadsT]):
    """A base with a target network, whose EMA momentum is `options.momentum`; `keep` names the network that is kept."""

    keep = "online"

    def add_backbone(self, backbone: Backbone) -> None:
        self.networks = EMATeacher(backbone, self.options.momentum)

    @property
    def backbone(self) -> Backbone:  # type: ignore[override]
        return self.networks.target if self.keep == "target" else self.networks.online

    def encode(self, views: list[Tensor]) -> Encoded:
        with torch.no_grad():
            target = [self.networks.target(view_BCSS) for view_BCSS in views[:TARGETS]]
        return Encoded([self.encode_online(view_BCSS) for view_BCSS in views], target)

    def encode_online(self, view_BCSS: Tensor) -> Representations:
        return self.networks.online(view_BCSS)

    def kept_features(self, encoded: Encoded) -> dict[str, Tensor]:
        return kept_features(encoded.target if self.keep == "target" else encoded.online[:TARGETS])

    @torch.no_grad()
    def targets(self, target: list[Tensor], projected: list[Tensor], heads: HeadsT) -> list[Tensor]:
        return [heads.target(x_PBC) for x_PBC in target]

    def update(self, clock: Clock) -> None:
        super().update(clock)
        self.networks.ema_update(clock)
