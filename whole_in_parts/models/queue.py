"""A queue of embeddings of earlier batches. Shapes: P positions, B images, D dimensions, K places."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whole_in_parts.distributed.collectives import gather


class Queue(nn.Module):
    """The last K embeddings, random unit vectors at first; the oldest are overwritten.

    Embeddings are noted while a loss is computed, and enter when the step is done. Of several positions of an image
    one enters, another one each step, so that an image takes one place.
    """

    vectors_KD: Tensor
    place: Tensor

    def __init__(self, places: int, features: int) -> None:
        super().__init__()
        self.register_buffer("vectors_KD", F.normalize(torch.randn(places, features)))
        self.register_buffer("place", torch.zeros((), dtype=torch.long))
        self.noted: list[Tensor] = []

    def note(self, z_PBD: Tensor) -> None:
        self.noted.append(gather(z_PBD.detach().to(self.vectors_KD.dtype), 1))

    def push(self, step: int) -> None:
        """Let in what was noted in this step."""
        for z_PBD in self.noted:
            z_BD = z_PBD[step % len(z_PBD)]
            places = (self.place + torch.arange(len(z_BD), device=z_BD.device)) % len(self.vectors_KD)
            self.vectors_KD[places] = z_BD
            self.place.copy_((self.place + len(z_BD)) % len(self.vectors_KD))
        self.noted.clear()
