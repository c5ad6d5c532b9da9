"""Batch norm over the global batch. Shapes: B images of a process, C channels, … positions, W processes."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn.modules.batchnorm import _BatchNorm

from whole_in_parts.distributed.collectives import gather
from whole_in_parts.failure import Failure

SUPPORTED = (nn.BatchNorm1d, nn.BatchNorm2d)


class BatchNorm(_BatchNorm):
    """Batch norm (B, C, …) with the statistics of the global batch, on CPUs, which `torch.nn.SyncBatchNorm` lacks.

    Processes may differ in the size of their batches. Evaluation mode is that of `nn.BatchNorm2d`.
    """

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002
        if input.ndim < 2:
            raise ValueError(f"expected a tensor (B, C, …), got {tuple(input.shape)}")

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        if not self.training:
            return super().forward(input)

        x = input.to(torch.promote_types(input.dtype, torch.float32))
        mean_C, variance_C, count = statistics(x.detach())
        self._update_running_statistics(mean_C, variance_C, count)

        weight_C = self.weight if self.affine else torch.ones_like(mean_C)
        bias_C = self.bias if self.affine else torch.zeros_like(mean_C)
        return cast(Tensor, _Normalise.apply(x, weight_C, bias_C, mean_C, variance_C, count, self.eps)).to(input.dtype)

    @torch.no_grad()
    def _update_running_statistics(self, mean_C: Tensor, variance_C: Tensor, count: float) -> None:
        """Update the running statistics as torch's batch norm does: unbiased variance, cumulative without momentum."""
        cast(Tensor, self.num_batches_tracked).add_(1)
        momentum = 1 / int(cast(Tensor, self.num_batches_tracked)) if self.momentum is None else self.momentum
        cast(Tensor, self.running_mean).lerp_(mean_C, momentum)
        cast(Tensor, self.running_var).lerp_(variance_C * (count / (count - 1)), momentum)


def statistics(x: Tensor) -> tuple[Tensor, Tensor, float]:
    """Compute mean and biased variance (C,) of the global batch, and the number of its values in each channel."""
    mean_C, variance_C = torch.batch_norm_update_stats(x, None, None, 0.0)
    count_C = torch.full_like(mean_C, x.numel() // x.shape[1])
    mean_WC, variance_WC, count_WC = gather(torch.stack([mean_C, variance_C, count_C])[None]).unbind(1)

    # Law of total variance: the mean of the variances plus the variance of the means.
    count_C = count_WC.sum(0)
    share_WC = count_WC / count_C
    mean_C = (share_WC * mean_WC).sum(0)
    variance_C = (share_WC * (variance_WC + (mean_WC - mean_C).square())).sum(0)
    return mean_C, variance_C, count_C[0].item()


class _NormaliseContext(FunctionCtx):
    saved_tensors: tuple[Tensor, ...]
    count: float
    eps: float


class _Normalise(torch.autograd.Function):
    """Normalise by the statistics of the global batch, with the gradient through these statistics.

    Torch's fast kernel for fixed statistics returns the gradients of weight and bias; their sums over processes also
    give the gradient through the statistics (Ioffe and Szegedy, 2015, arXiv:1502.03167, section 3).
    """

    @staticmethod
    def forward(
        context: _NormaliseContext,
        x: Tensor,
        weight_C: Tensor,
        bias_C: Tensor,
        mean_C: Tensor,
        variance_C: Tensor,
        count: float,
        eps: float,
    ) -> Tensor:
        context.save_for_backward(x, weight_C, mean_C, variance_C)
        context.count = count
        context.eps = eps
        return F.batch_norm(x, mean_C, variance_C, weight_C, bias_C, training=False, eps=eps)

    @staticmethod
    def backward(context: _NormaliseContext, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_C, mean_C, variance_C = context.saved_tensors
        _, *weight_and_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, x, weight_C, mean_C, variance_C, None, None, False, context.eps, [False, True, True]
        )
        scale_C = (variance_C + context.eps).rsqrt()

        # x_gradient = weight · scale · (gradient − mean(gradient) − x̂ · mean(x̂ · gradient)), x̂: normalised x.
        sums_2C = gather(torch.stack(weight_and_bias)[None]).sum(0)
        projection_C, mean_gradient_C = sums_2C * weight_C * scale_C / context.count
        slope_C = projection_C * scale_C
        shape = (1, -1) + (1,) * (x.ndim - 2)
        x_gradient = torch.addcmul((slope_C * mean_C - mean_gradient_C).view(shape), x, -slope_C.view(shape))
        x_gradient.addcmul_(gradient, (weight_C * scale_C).view(shape))
        return x_gradient, *weight_and_bias, None, None, None, None


def synchronise(module: nn.Module, device: torch.device) -> None:
    """Replace every batch norm in a module by one over the global batch.

    A submodule that is marked `gathered` gets the global batch as its input and is left unchanged.

    Raises:
        Failure: on CPUs, a batch norm is not a plain `BatchNorm1d` or `BatchNorm2d`.
    """
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            setattr(module, name, synchronised_on_gpus(child) if device.type == "cuda" else synchronised_on_cpus(child))
        elif not getattr(child, "gathered", False):
            synchronise(child, device)


def synchronised_on_gpus(norm: _BatchNorm) -> nn.Module:
    """Convert to torch's `SyncBatchNorm`, or to timm's version of it if an activation is fused."""
    from timm.layers import convert_sync_batchnorm  # a local import, since timm takes two seconds to import

    return cast(nn.Module, convert_sync_batchnorm(norm))


def synchronised_on_cpus(norm: _BatchNorm) -> BatchNorm:
    """Build a `BatchNorm` over the global batch that shares the parameters and buffers of `norm`.

    Raises:
        Failure: the batch norm is not a plain `BatchNorm1d` or `BatchNorm2d`.
    """
    if type(norm) not in SUPPORTED:
        raise Failure(f"backbone: {type(norm).__name__} over several processes needs GPUs; on CPUs use one process")
    synchronised = BatchNorm(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    synchronised.weight = norm.weight
    synchronised.bias = norm.bias
    synchronised._buffers = norm._buffers
    return synchronised.train(norm.training)
