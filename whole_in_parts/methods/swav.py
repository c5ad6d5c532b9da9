"""SwAV (Caron et al., 2020, arXiv:2006.09882): a view predicts the assignment of the other to prototypes.

The assignments spread the batch evenly over the prototypes (Sinkhorn–Knopp); queues of earlier embeddings, one for each
view, can help to balance a small batch once they are full. The loss is the mean over the assigned views of the mean
over the other views.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from whole_in_parts.config.methods.swav import SwAVConfig
from whole_in_parts.distributed.collectives import gather, rank, world_size
from whole_in_parts.methods.joint_embedding import TARGETS, JointEmbedding
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.heads import Heads, mlp
from whole_in_parts.models.precision import to_float32
from whole_in_parts.models.prototypes import Normalize, Prototypes, cross_entropy
from whole_in_parts.models.queue import Queue
from whole_in_parts.schedules import Clock
from whole_in_parts.shapes import Float


class AssignmentHeads(Heads):
    """A projector to unit vectors, prototypes, and the assignments to them. K prototypes."""

    predictor: Prototypes

    def __init__(self, features: int, options: SwAVConfig) -> None:
        width = options.projector[-1]
        projector = nn.Sequential(mlp([features, *options.projector]), Normalize())
        super().__init__(projector, Prototypes(width, options.prototypes))
        self.options = options
        self.queues: Sequence[Queue] = nn.ModuleList(  # type: ignore[assignment]
            Queue(options.queue, width) for _ in range(TARGETS if options.queue else 0)
        )
        self.steps_queued = -1
        """Steps whose embeddings are in the queues; negative before the first epoch with a queue."""

    @torch.no_grad()
    def assign(self, z_PBD: Float[Tensor, "P B D"], view: int) -> Float[Tensor, "P B K"]:
        """The distributions (P, B, K) of a view over the prototypes, balanced over the batch of all processes (a
        collective) and, once it is full, the queue of the view.
        """
        queued: list[Tensor] = []
        if self.queues and self.steps_queued >= 0:
            self.queues[view].enqueue(z_PBD)
            if self.steps_queued * z_PBD.shape[1] * world_size() >= self.options.queue:
                queued.append(self.queues[view].vectors_KD)

        z_PBD = gather(to_float32(z_PBD), 1)
        z_ND = torch.cat([z_PBD.flatten(0, 1), *queued])
        assigned_NK = sinkhorn(to_float32(self.predictor(z_ND)), self.options.epsilon, self.options.iterations)
        assigned_PBK = assigned_NK[: z_PBD.shape[0] * z_PBD.shape[1]].unflatten(0, z_PBD.shape[:2])
        return assigned_PBK.chunk(world_size(), 1)[rank()]

    def prepare(self, clock: Clock) -> None:
        self.predictor.frozen = clock.epoch < self.options.frozen_epochs
        self.steps_queued = clock.step - math.ceil(self.options.queue_from_epoch * clock.per_epoch)

    def update(self, clock: Clock) -> None:
        for queue in self.queues:
            queue.push(clock.step)


class SwAV(JointEmbedding[SwAVConfig, AssignmentHeads]):
    """The targets are the assignments, which no gradient reaches."""

    def make_heads(self, features: int, options: SwAVConfig) -> AssignmentHeads:
        return AssignmentHeads(features, options)

    def targets(self, target: list[Tensor], projected: list[Tensor], heads: AssignmentHeads) -> list[Tensor]:
        return [heads.assign(z_PBD.detach(), view) for view, z_PBD in enumerate(projected[: len(target)])]

    def align(
        self, online_PBD: Float[Tensor, "#P B D"], target_PBD: Float[Tensor, "#P B D"], heads: AssignmentHeads
    ) -> Float[Tensor, ""]:
        """Half the cross-entropy, so that two directions are a mean; in [0, ∞)."""
        return cross_entropy(online_PBD, target_PBD, self.options.temperature) / 2


def sinkhorn(scores_NK: Float[Tensor, "N K"], epsilon: float, iterations: int) -> Float[Tensor, "N K"]:
    """Softly assign N vectors to K prototypes: the shares of a vector sum to one, and prototypes get similar shares.

    The exponent is shifted by its maximum, which keeps it finite and changes nothing else.
    """
    shares_NK = torch.exp((scores_NK - scores_NK.max()) / epsilon)
    for _ in range(iterations):
        shares_NK = shares_NK / shares_NK.sum(0, keepdim=True)
        shares_NK = shares_NK / shares_NK.sum(1, keepdim=True)
    return shares_NK


def build(options: SwAVConfig, backbone: Backbone, classes: int, size: int) -> SwAV:
    return SwAV(backbone, options)
