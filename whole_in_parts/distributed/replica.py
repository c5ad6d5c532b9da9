"""Replicate a method over processes: `DistributedDataParallel` averages the gradients."""

import inspect

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from whole_in_parts.distributed.batch_norm import synchronise
from whole_in_parts.distributed.collectives import world_size

# torch 2.15 renamed the option.
PARAMETERS = inspect.signature(DistributedDataParallel).parameters
SYNC_BUFFERS = "forward_sync_buffers" if "forward_sync_buffers" in PARAMETERS else "broadcast_buffers"


def replicate(method: nn.Module, device: torch.device) -> nn.Module:
    """Wrap a method for training by all processes; a single process gets the method itself.

    Buffers need no broadcast: every process computes them from the global batch. Prototypes have no gradient while they
    are frozen, so `DistributedDataParallel` must search for unused parameters.
    """
    if world_size() == 1:
        return method
    synchronise(method, device)
    freezes = any(getattr(getattr(module, "options", None), "frozen_epochs", 0) > 0 for module in method.modules())
    return DistributedDataParallel(method, find_unused_parameters=freezes, **{SYNC_BUFFERS: False})  # type: ignore[arg-type]
