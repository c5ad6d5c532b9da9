"""Stop a training with a non-finite loss or weight before anything of it is kept."""

import torch
from torch import nn

from whole_in_parts.failure import Failure
from whole_in_parts.methods.base import Losses

NEVER = -1
ADVICE = "try a lower optimizer.learning_rate, a longer optimizer.warmup_epochs or an optimizer.clip_norm"


class NonFiniteGuard:
    """Records the first step with a non-finite loss on the device, so that no step waits for the device."""

    def __init__(self, device: torch.device):
        self.first = torch.tensor(NEVER, device=device)

    def record(self, step: int, losses: Losses) -> None:
        """Record whether the losses of a step are finite."""
        finite = torch.stack([loss.detach() for loss in losses.values()]).isfinite().all()
        self.first = torch.where(finite | (self.first != NEVER), self.first, step)

    def raise_if_nonfinite(self, module: nn.Module) -> None:
        """Check losses and weights, before anything of a training is kept.

        Raises:
            Failure: a loss or a weight is not finite; the gradient may be infinite where the loss is finite.
        """
        if (first := int(self.first)) != NEVER:
            raise Failure(f"the loss is not finite from step {first} on; {ADVICE}")
        finite = {name: tensor.isfinite().all() for name, tensor in module.state_dict().items()}
        if not torch.stack([*finite.values()]).all():
            wrong = [name for name, all_are in finite.items() if not all_are]
            raise Failure(f"the loss is finite, and the weights are not ({', '.join(wrong[:3])}); {ADVICE}")
