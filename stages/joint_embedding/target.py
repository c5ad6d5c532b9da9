"""Joint embedding with a target network: a copy of the online one that follows it by a moving average."""

import copy
from typing import cast

import torch
from torch import Tensor, nn

from stages.backbones import Backbone, Representations
from stages.joint_embedding import TARGETS, Encoded, JointEmbedding
from stages.joint_embedding.heads import Heads, each_position
from stages.methods import Clock
from stages.training.schedules import cosine


class Twin(nn.Module):
    """An online network and its target: a copy that no gradient reaches and that follows by a moving average.

    `momentum` is how much of the target stays, at the first step and at the last, on a half cosine. The target keeps
    running statistics of its own and runs in training mode (`methods.md` A.0, solo-learn), but drops no paths.
    """

    def __init__(self, online: nn.Module, momentum: tuple[float, float]):
        super().__init__()
        self.online, self.momentum = online, momentum
        self.target = copy.deepcopy(online).requires_grad_(False)
        for module in self.target.modules():
            if hasattr(module, "drop_prob"):
                module.drop_prob = 0.0  # type: ignore[assignment]

    @torch.no_grad()
    def follow(self, clock: Clock) -> None:
        """target ← momentum · target + (1 − momentum) · online, for parameters alone."""
        momentum = cosine(*self.momentum, clock.progress)
        for target, online in zip(self.target.parameters(), self.online.parameters(), strict=True):
            target.lerp_(online, 1 - momentum)


class TwinHeads(Heads):
    """Heads of which the projector has a target; the predictor is the online network's alone."""

    projector: Twin

    def __init__(self, projector: nn.Module, predictor: nn.Module | None, momentum: tuple[float, float]):
        super().__init__(Twin(projector, momentum), predictor)

    def project(self, x_PBC: Tensor) -> Tensor:
        return each_position(self.projector.online, x_PBC)

    def target(self, x_PBC: Tensor) -> Tensor:
        """The embeddings to draw to, by the target projector."""
        return each_position(self.projector.target, x_PBC)

    def update(self, clock: Clock) -> None:
        self.projector.follow(clock)


class TargetNetwork(JointEmbedding):
    """A base with a target network; `options.momentum` is how it follows, `keep` which of the two is the result."""

    keep = "online"

    def add_backbone(self, backbone: Backbone) -> None:
        self.networks = Twin(backbone, self.options.momentum)

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
        return [cast(TwinHeads, heads).target(x_PBC) for x_PBC in target]

    def update(self, clock: Clock) -> None:
        super().update(clock)
        self.networks.follow(clock)
