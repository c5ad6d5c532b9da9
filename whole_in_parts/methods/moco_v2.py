"""MoCo v2 (Chen et al., 2020, arXiv:2003.04297): a query identifies its key among a queue of keys of earlier batches.

`symmetric: false` is the paper's one direction, in which the keys of the second view enter the queue; with both, their
mean is the loss and the keys of both views enter, as in LoGo's and solo-learn's versions. The keys' batch norm is not
shuffled, which would need several GPUs.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whole_in_parts.config.methods.moco_v2 import MoCoV2Config
from whole_in_parts.methods.target_network import TargetNetwork, TeacherHeads
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.heads import mlp
from whole_in_parts.models.precision import to_float32
from whole_in_parts.models.queue import Queue
from whole_in_parts.schedules import Clock
from whole_in_parts.shapes import Float


class QueueHeads(TeacherHeads):
    """A projector with a queue of the keys of earlier batches. K places in the queue."""

    def __init__(self, projector: nn.Module, momentum: tuple[float, float], places: int, output: int) -> None:
        super().__init__(projector, None, momentum)
        self.queue = Queue(places, output)

    def target(self, x_PBC: Float[Tensor, "P B C"]) -> Float[Tensor, "P B D"]:
        """The keys (P, B, D), unit vectors."""
        return F.normalize(to_float32(super().target(x_PBC)), dim=-1)

    def update(self, clock: Clock) -> None:
        super().update(clock)
        self.queue.push(clock.step)


class MoCoV2(TargetNetwork[MoCoV2Config, QueueHeads]):
    """The queue belongs to the heads that made the key: under `co`, a local key's negatives are local keys."""

    decays_1d = True

    def make_heads(self, features: int, options: MoCoV2Config) -> QueueHeads:
        projector = mlp([features, *options.projector], norm=False)
        return QueueHeads(projector, options.momentum, options.queue, options.projector[-1])

    def targets(self, target: list[Tensor], projected: list[Tensor], heads: QueueHeads) -> list[Tensor]:
        """The keys of both views; the keys that are compared with a query enter the queue after the step."""
        keys = super().targets(target, projected, heads)
        for view in sorted({key for _, key in self.pairs(len(projected))}):
            heads.queue.enqueue(keys[view])
        return keys

    def align(
        self, online_PBD: Float[Tensor, "#P B D"], target_PBD: Float[Tensor, "#P B D"], heads: QueueHeads
    ) -> Float[Tensor, ""]:
        """The cross-entropy of the query's key against the queue; half of it where two directions are averaged."""
        query_PBD = F.normalize(online_PBD, dim=-1)
        positive_PB1 = (query_PBD * target_PBD).sum(-1, keepdim=True)
        negatives_PBK = query_PBD @ heads.queue.vectors_KD.T
        logits_PBN = (
            torch.cat([positive_PB1, negatives_PBK.expand(len(positive_PB1), -1, -1)], -1) / self.options.temperature
        )
        loss = -F.log_softmax(logits_PBN, dim=-1)[..., 0].mean()
        return loss / 2 if self.options.symmetric else loss

    def pairs(self, views: int) -> list[tuple[int, int]]:
        return [pair for pair in super().pairs(views) if self.options.symmetric or pair != (1, 0)]


def build(options: MoCoV2Config, backbone: Backbone, classes: int, size: int) -> MoCoV2:
    return MoCoV2(backbone, options)
