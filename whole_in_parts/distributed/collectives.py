"""Collectives of data-parallel training, with gradients where a loss needs them.

A global batch is split in order into one shard per process. Embeddings that a loss compares over the global batch are
gathered with their gradient, batch norm uses the statistics of the global batch (`batch_norm.py`), and gradients are
averaged. So losses and weights equal those of one process with the global batch, up to the rounding of sums. With a
single process every function here returns its input.
"""

from collections.abc import Iterable
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from whole_in_parts.distributed import unix_sockets

Value = TypeVar("Value")


def rank() -> int:
    """Return the rank of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def local_shard(indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Select this process's shard of sample indices; the lengths of the shards differ by at most one."""
    return np.array_split(indices, world_size())[rank()]


def gather(x: Tensor, dim: int = 0) -> Tensor:
    """Concatenate the tensors of all processes along `dim`, by rank; gradients flow back to the process of origin.

    All tensors must have the same shape.
    """
    return x if world_size() == 1 else _Gather.apply(x, dim)


def gather_uneven(x_NX: Tensor) -> Tensor:
    """Concatenate the rows of all processes, by rank, without gradient; the numbers of rows may differ."""
    if world_size() == 1:
        return x_NX
    lengths = gather(torch.tensor([len(x_NX)], device=x_NX.device)).tolist()

    # A collective needs equal shapes: pad to the longest, and cut the padding off afterwards.
    padded_NX = x_NX.new_zeros(max(lengths), *x_NX.shape[1:])
    padded_NX[: len(x_NX)] = x_NX
    return torch.cat([rows_NX[:length] for rows_NX, length in zip(_all_gather(padded_NX), lengths, strict=True)])


def all_reduce_mean(x: Tensor) -> Tensor:
    """Average a tensor over all processes, without gradient."""
    if world_size() == 1:
        return x
    total = x.detach().clone()
    dist.all_reduce(total)
    return total / world_size()


def mean_weight(count: Tensor) -> Tensor:
    """Return the weight of a mean over `count` items of this process: count divided by its mean over all processes.

    The average over processes of the weighted means is the mean over all items; 0 without items in any process.
    """
    count = count.double()
    return count / all_reduce_mean(count).clamp(min=torch.finfo(count.dtype).tiny)


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Average gradients over all processes, for parameters that `DistributedDataParallel` does not handle."""
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad = all_reduce_mean(parameter.grad)


def gather_objects(value: Value) -> list[Value]:
    """Gather a picklable value from every process, by rank."""
    values = [value] * world_size()
    if world_size() > 1:
        dist.all_gather_object(values, value)
    return values


def _all_gather(x: Tensor) -> list[Tensor]:
    """Gather a tensor from every process: over sockets if it is small and on the CPU, else by torch's backend."""
    x = x.contiguous()
    if unix_sockets.supports(x):
        return unix_sockets.exchange(x)
    tensors = [torch.empty_like(x) for _ in range(world_size())]
    dist.all_gather(tensors, x)
    return tensors


class _GatherContext(FunctionCtx):
    dim: int


class _Gather(torch.autograd.Function):
    """Gather with the gradient of the sum of all processes' losses: the sum of the gradients of all processes."""

    @staticmethod
    def forward(context: _GatherContext, x: Tensor, dim: int) -> Tensor:
        context.dim = dim
        return torch.cat(_all_gather(x), dim)

    @staticmethod
    def backward(context: _GatherContext, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.contiguous()
        dist.all_reduce(total)
        return total.chunk(world_size(), context.dim)[rank()], None
