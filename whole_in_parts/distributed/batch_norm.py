"""Batch norm over the batches of all processes. Shapes: B images of a process, C channels, … positions, W processes."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn.modules.batchnorm import _BatchNorm

from whole_in_parts.distributed.collectives import gather, world_size
from whole_in_parts.failure import Failure

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
        x = input.to(torch.promote_types(input.dtype, torch.float32))
        mean_C, variance_C = statistics(x.detach())
        self._remember(mean_C, variance_C, input.numel() // input.shape[1] * world_size())
        weight_C = self.weight if self.affine else torch.ones_like(mean_C)
        bias_C = self.bias if self.affine else torch.zeros_like(mean_C)
        return cast(Tensor, _Normalise.apply(x, weight_C, bias_C, mean_C, variance_C, self.eps)).to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean_C: Tensor, variance_C: Tensor, count: int) -> None:
        """Move the running statistics, as torch's batch norm does."""
        cast(Tensor, self.num_batches_tracked).add_(1)
        cast(Tensor, self.running_mean).lerp_(mean_C, cast(float, self.momentum))
        cast(Tensor, self.running_var).lerp_(variance_C * (count / (count - 1)), cast(float, self.momentum))


def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """The mean and the variance (C,) of the batches of all processes, which are equally large."""
    own_2C = torch.stack(torch.batch_norm_update_stats(x, None, None, 0.0))
    all_W2C = gather(own_2C[None])
    mean_C, variance_C = all_W2C.mean(0)
    return mean_C, variance_C + all_W2C[:, 0].var(0, correction=0)


class _NormaliseContext(FunctionCtx):
    saved_tensors: tuple[Tensor, ...]
    eps: float


class _Normalise(torch.autograd.Function):
    """Batch norm by statistics that are made of the inputs of all processes, with the gradient through them.

    Torch has fast kernels for given statistics: the gradients that they find of weight and bias are the sums of which
    the gradient through the statistics is made (Ioffe and Szegedy, 2015, arXiv:1502.03167, section 3).
    """

    @staticmethod
    def forward(
        context: _NormaliseContext,
        x: Tensor,
        weight_C: Tensor,
        bias_C: Tensor,
        mean_C: Tensor,
        variance_C: Tensor,
        eps: float,
    ) -> Tensor:
        context.save_for_backward(x, weight_C, mean_C, variance_C)
        context.eps = eps
        return F.batch_norm(x, mean_C, variance_C, weight_C, bias_C, training=False, eps=eps)

    @staticmethod
    def backward(context: _NormaliseContext, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_C, mean_C, variance_C = context.saved_tensors
        _, *own = torch.ops.aten.native_batch_norm_backward(
            gradient, x, weight_C, mean_C, variance_C, None, None, False, context.eps, [False, True, True]
        )
        scale_C = (variance_C + context.eps).rsqrt()
        each = x.numel() // x.shape[1] * world_size()
        along_C, mean_gradient_C = gather(torch.stack(own)[None]).sum(0) * weight_C * scale_C / each
        slope_C, shape = along_C * scale_C, (1, -1) + (1,) * (x.ndim - 2)
        x_gradient = torch.addcmul((slope_C * mean_C - mean_gradient_C).view(shape), x, -slope_C.view(shape))
        x_gradient.addcmul_(gradient, (weight_C * scale_C).view(shape))
        return x_gradient, *own, None, None, None


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
