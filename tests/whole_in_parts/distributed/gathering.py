"""A program for torchrun: what three processes gather by direct lines, and that it is what gloo gathers."""

import torch
import torch.distributed as dist

from whole_in_parts.distributed import unix_sockets
from whole_in_parts.distributed.collectives import gather, rank, world_size
from whole_in_parts.distributed.group import group

FITS = unix_sockets.LONGEST // torch.float32.itemsize
TENSORS = {
    "numbers": torch.arange(6.0).view(2, 3),
    "one number": torch.tensor([7]),
    "half precision": torch.arange(5.0).bfloat16(),
    "flags": torch.tensor([True, False]),
    "a view": torch.arange(12.0).view(3, 4).T,
    "nothing": torch.empty(0, 3),
    "all that fits": torch.arange(float(FITS)),
    "more than fits": torch.arange(float(FITS + 1)),
}

with group(torch.device("cpu")):
    for name, tensor in TENSORS.items():
        own = tensor.roll(rank(), -1).contiguous()
        theirs = [torch.empty_like(own) for _ in range(world_size())]
        dist.all_gather(theirs, own)
        assert torch.equal(gather(own[None]), torch.stack(theirs)), name
        if rank() == 0:
            print(f"{name}: {'a line' if unix_sockets.carry(own) else 'gloo'}")
