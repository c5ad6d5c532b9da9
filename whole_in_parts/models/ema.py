"""EMA teachers: copies of a network whose weights are an exponential moving average of the network's weights."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

from whole_in_parts.schedules import Clock, cosine

Network = TypeVar("Network", bound=nn.Module)


class EMATeacher(nn.Module, Generic[Network]):
    """An online network and its EMA copy, the target, which receives no gradient.

    `momentum` is the decay at the first and at the last step; a half cosine interpolates. The target has its own
    running statistics of batch norm and runs in training mode (`docs/methods.md` A.0), but without stochastic depth.
    """

    online: Network
    target: Network

    def __init__(self, online: Network, momentum: tuple[float, float]) -> None:
        super().__init__()
        self.online = online
        self.momentum = momentum
        self.target = copy.deepcopy(online).requires_grad_(False)
        for module in self.target.modules():
            if hasattr(module, "drop_prob"):
                module.drop_prob = 0.0  # type: ignore[assignment]

    @torch.no_grad()
    def ema_update(self, clock: Clock) -> None:
        """Update the target's parameters, not its buffers: target ← momentum · target + (1 − momentum) · online."""
        momentum = cosine(*self.momentum, clock.progress)
        torch._foreach_lerp_(list(self.target.parameters()), list(self.online.parameters()), 1 - momentum)
