"""Share the samples of an evaluation among all processes: each is evaluated once, and every process gets all results.

A batch of one process is a batch of each process here, so that memory does not depend on the number of processes.
Results are gathered after each batch: no process waits longer for the others than a batch takes.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.distributed.collectives import gather_objects, gather_uneven, local_shard, world_size
from whole_in_parts.progress import progress

Value = TypeVar("Value")


def share_rows(
    compute: Callable[[NDArray[np.int64]], Tensor], indices: NDArray[np.int64], batch_size: int, title: str
) -> Iterator[Tensor]:
    """Yield the rows (B, …) of each batch of samples, in the order of `indices`, on the CPU (a collective).

    Args:
        compute: maps sample indices (b,), this process's share of a batch, to their rows (b, …).
        indices: the samples to evaluate.
        batch_size: the largest number of samples for which a process calls `compute` at once.
        title: the title of the progress bar.
    """
    for batch in iter_batches(indices, batch_size, title):
        own = local_shard(batch)
        if len(batch) >= world_size():
            yield gather_uneven(compute(own).cpu())
        else:
            # A process without a sample does not know the shape of a row, which `gather_uneven` needs.
            rows = gather_objects(compute(own).cpu() if len(own) else None)
            yield torch.cat([rows_BX for rows_BX in rows if rows_BX is not None])


def share_values(
    compute: Callable[[int], Value], indices: NDArray[np.int64], batch_size: int, title: str
) -> Iterator[Value]:
    """Yield what is computed for each sample, in the order of `indices` (a collective); values are picklable.

    The arguments are those of `share_rows`, but `compute` is called for each sample by itself.
    """
    for batch in iter_batches(indices, batch_size, title):
        values = gather_objects([compute(int(index)) for index in local_shard(batch)])
        yield from chain.from_iterable(values)


def iter_batches(indices: NDArray[np.int64], batch_size: int, title: str) -> Iterator[NDArray[np.int64]]:
    """Yield the sample indices (B,) of each batch of all processes, with a progress bar."""
    size = batch_size * world_size()
    for start in progress(range(0, len(indices), size), title, unit="batch"):
        yield indices[start : start + size]
