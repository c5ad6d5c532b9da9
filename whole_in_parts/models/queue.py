"""A queue of embeddings of earlier batches. Shapes: P positions, B images, D dimensions, K slots."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whole_in_parts.distributed.collectives import gather
from whole_in_parts.shapes import Float


class Queue(nn.Module):
    """A ring buffer of the last K embeddings, initialised with random unit vectors.

    `enqueue` collects the embeddings of a batch while the loss is computed; `push` adds them after the step. An image
    fills one slot, by its position `step % P`.
    """

    vectors_KD: Tensor
    place: Tensor

    def __init__(self, size: int, features: int) -> None:
        super().__init__()
        self.register_buffer("vectors_KD", F.normalize(torch.randn(size, features)))
        self.register_buffer("place", torch.zeros((), dtype=torch.long))
        self.pending: list[Tensor] = []

    def enqueue(self, z_PBD: Float[Tensor, "P B D"]) -> None:
        """Collect the embeddings of all processes, without gradients, for the next `push` (a collective)."""
        self.pending.append(gather(z_PBD.detach().to(self.vectors_KD.dtype), 1))

    def push(self, step: int) -> None:
        """Overwrite the oldest embeddings with those collected in this step."""
        for z_PBD in self.pending:
            z_BD = z_PBD[step % len(z_PBD)]
            slots = (self.place + torch.arange(len(z_BD), device=z_BD.device)) % len(self.vectors_KD)
            self.vectors_KD[slots] = z_BD
            self.place.copy_((self.place + len(z_BD)) % len(self.vectors_KD))
        self.pending.clear()
