"""Batch norm over the batches of all processes. Shapes: B images of a process, C channels, … positions, W processes."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from stages.distributed import gather, ranks
from stages.program import Failure

KNOWN = (nn.BatchNorm1d, nn.BatchNorm2d)


class BatchNorm(_BatchNorm):
    """Batch norm (B, C, …) with the statistics of all processes; `torch.nn.SyncBatchNorm` has no kernel for CPUs.

    All processes have batches of one shape. Evaluation is as ever.
    """

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002
        if input.ndim < 2:
            raise ValueError(f"expected a tensor (B, C, …), got {tuple(input.shape)}")

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        if not self.training:
            return super().forward(input)
        x, dims = input.to(torch.promote_types(input.dtype, torch.float32)), [0, *range(2, input.ndim)]
        variance_C, mean_C = torch.var_mean(x, dims, correction=0)
        parts_W2C = gather(torch.stack([variance_C, mean_C])[None])
        mean_C = parts_W2C[:, 1].mean(0)
        variance_C = parts_W2C[:, 0].mean(0) + (parts_W2C[:, 1] - mean_C).square().mean(0)
        self._remember(mean_C.detach(), variance_C.detach(), input.numel() // input.shape[1] * ranks())
        scale_C, shape = (variance_C + self.eps).rsqrt(), [1, -1] + [1] * (input.ndim - 2)
        if self.affine:
            scale_C = scale_C * self.weight
        shift_C = -mean_C * scale_C + (self.bias if self.affine else 0.0)
        return torch.addcmul(shift_C.view(shape), x, scale_C.view(shape)).to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean_C: Tensor, variance_C: Tensor, count: int) -> None:
        """Move the running statistics, as torch's batch norm does."""
        cast(Tensor, self.num_batches_tracked).add_(1)
        cast(Tensor, self.running_mean).lerp_(mean_C, cast(float, self.momentum))
        cast(Tensor, self.running_var).lerp_(variance_C * count / (count - 1), cast(float, self.momentum))


def synchronise(module: nn.Module, device: torch.device) -> None:
    """Let each batch norm within a module have the statistics of all processes.

    What is `gathered`, a module that is given the whole batch, is left as it is.

    Raises:
        Failure: there is one of a kind that nothing is known of.
    """
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            setattr(module, name, on_gpus(child) if device.type == "cuda" else over_all(child))
        elif not getattr(child, "gathered", False):
            synchronise(child, device)


def on_gpus(norm: _BatchNorm) -> nn.Module:
    """Torch's own, whose kernels are for GPUs; timm's, where an activation follows."""
    from timm.layers import convert_sync_batchnorm  # here, since timm takes two seconds to import

    return cast(nn.Module, convert_sync_batchnorm(norm))


def over_all(norm: _BatchNorm) -> BatchNorm:
    """A batch norm with the same parameters and buffers, over all processes."""
    if type(norm) not in KNOWN:
        raise Failure(f"backbone: a {type(norm).__name__} of several processes needs GPUs; train it by one process")
    changed = BatchNorm(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    changed.weight, changed.bias, changed._buffers = norm.weight, norm.bias, norm._buffers
    return changed.train(norm.training)
