"""A method as one of several that stay the same: `DistributedDataParallel` averages their gradients."""

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from stages.distributed import ranks
from stages.distributed.batch_norm import synchronise
from stages.joint_embedding.prototypes import Prototypes
from stages.methods import Method


def replicate(method: Method, device: torch.device) -> nn.Module:
    """What to call in place of the method; where there is one process, the method itself.

    Buffers are the same everywhere, since each is made of the whole batch. Prototypes have no gradient while they are
    frozen, which the averaging has to be told.
    """
    if ranks() == 1:
        return method
    synchronise(method, device)
    rests = any(isinstance(module, Prototypes) for module in method.modules())
    return DistributedDataParallel(method, broadcast_buffers=False, find_unused_parameters=rests)
