"""One training by several processes: each has its part of every batch, and all end with the same weights.

A batch is cut into as many parts as there are processes, in order. What a loss needs of the whole batch is gathered,
with its gradient; batch norm has the statistics of the whole batch (`batch_norm.py`); gradients are averaged. So the
losses are those of one process with the whole batch, to the rounding of sums. Here is what the methods need to know;
where there is one process, each function gives back what it was given.
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
    """The number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def local_shard(indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """This process's part of some sample numbers, which may be longer by one than that of another."""
    return np.array_split(indices, world_size())[rank()]


def gather(x: Tensor, dim: int = 0) -> Tensor:
    """The tensors of all processes, in order, joined along `dim`; the gradient goes back to where each came from.

    All have to be of one shape.
    """
    return x if world_size() == 1 else _Gather.apply(x, dim)


def gather_uneven(x_NX: Tensor) -> Tensor:
    """The rows of all processes, in order, without their gradient; one process may have more of them than another."""
    if world_size() == 1:
        return x_NX
    lengths = gather(torch.tensor([len(x_NX)], device=x_NX.device)).tolist()
    padded_NX = x_NX.new_zeros(max(lengths), *x_NX.shape[1:])
    padded_NX[: len(x_NX)] = x_NX
    return torch.cat([part[:length] for part, length in zip(_all(padded_NX), lengths, strict=True)])


def all_reduce_mean(x: Tensor) -> Tensor:
    """The mean over all processes, without its gradient."""
    if world_size() == 1:
        return x
    total = x.detach().clone()
    dist.all_reduce(total)
    return total / world_size()


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Make each gradient the mean of those of all processes, where no `DistributedDataParallel` does so."""
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad = all_reduce_mean(parameter.grad)


def gather_objects(value: Value) -> list[Value]:
    """What each process has, in order."""
    values = [value] * world_size()
    if world_size() > 1:
        dist.all_gather_object(values, value)
    return values


def _all(x: Tensor) -> list[Tensor]:
    x = x.contiguous()
    if unix_sockets.carry(x):
        return unix_sockets.exchange(x)
    parts = [torch.empty_like(x) for _ in range(world_size())]
    dist.all_gather(parts, x)
    return parts


class _GatherContext(FunctionCtx):
    dim: int


class _Gather(torch.autograd.Function):
    """The gradient of the sum of all processes' losses, of which each process has a part to add."""

    @staticmethod
    def forward(context: _GatherContext, x: Tensor, dim: int) -> Tensor:
        context.dim = dim
        return torch.cat(_all(x), dim)

    @staticmethod
    def backward(context: _GatherContext, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.contiguous()
        dist.all_reduce(total)
        return total.chunk(world_size(), context.dim)[rank()], None
