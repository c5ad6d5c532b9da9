"""A method as one of several that stay the same: `DistributedDataParallel` averages their gradients."""

import inspect

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from whole_in_parts.distributed.batch_norm import synchronise
from whole_in_parts.distributed.collectives import world_size
from whole_in_parts.methods.base import Method

# The option had another name before torch 2.15.
KNOWN = inspect.signature(DistributedDataParallel).parameters
BUFFERS = "forward_sync_buffers" if "forward_sync_buffers" in KNOWN else "broadcast_buffers"


def replicate(method: Method, device: torch.device) -> nn.Module:
    """What to call in place of the method; where there is one process, the method itself.

    Buffers are the same everywhere, since each is made of the whole batch. Prototypes have no gradient while they are
    frozen, which the averaging has to be told.
    """
    if world_size() == 1:
        return method
    synchronise(method, device)
    rests = any(getattr(getattr(part, "options", None), "frozen_epochs", 0) > 0 for part in method.modules())
    return DistributedDataParallel(method, find_unused_parameters=rests, **{BUFFERS: False})  # type: ignore[arg-type]
