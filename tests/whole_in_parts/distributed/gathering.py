"""A program for torchrun: what three processes gather over sockets, and that it is what gloo gathers."""

import torch
import torch.distributed as dist

from whole_in_parts.distributed import unix_sockets
from whole_in_parts.distributed.collectives import gather, rank, world_size
from whole_in_parts.distributed.group import group

FITS = unix_sockets.MAX_BYTES // torch.float32.itemsize
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
        local = tensor.roll(rank(), -1).contiguous()
        expected = [torch.empty_like(local) for _ in range(world_size())]
        dist.all_gather(expected, local)
        assert torch.equal(gather(local[None]), torch.stack(expected)), name
        if rank() == 0:
            print(f"{name}: {'socket' if unix_sockets.supports(local) else 'gloo'}")
