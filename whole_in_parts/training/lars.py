"""LARS as VICReg and MoCo v3 define it (`docs/methods.md`, section D); `timm.optim.lars` has solo-learn's."""

from collections.abc import Callable

import torch
from timm.optim.lars import Lars


class DecayedNormLars(Lars):
    """LARS whose trust ratio is η ‖p‖ / ‖g + wd · p‖, in place of η ‖p‖ / (‖g‖ + wd ‖p‖)."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take a step; the weight decay is added to the gradients in place."""
        weight_decays = [group["weight_decay"] for group in self.param_groups]
        for group, weight_decay in zip(self.param_groups, weight_decays, strict=True):
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad.add_(parameter, alpha=weight_decay)
            group["weight_decay"] = 0.0

        loss = super().step(closure)
        for group, weight_decay in zip(self.param_groups, weight_decays, strict=True):
            group["weight_decay"] = weight_decay
        return loss
