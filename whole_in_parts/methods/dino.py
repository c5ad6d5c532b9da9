"""DINO: self-distillation with no labels (Caron et al., 2021, arXiv:2104.14294).

A student predicts, of another view, the distribution over prototypes that a slowly moving teacher gives; the teacher's
scores are centred and sharpened against collapse. The loss is the mean over the pairs of views.
"""

from torch import Tensor

from whole_in_parts.methods.distillation import DistillationHeads
from whole_in_parts.methods.target_network import TargetNetwork
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.heads import Heads
from whole_in_parts.models.prototypes import cross_entropy


class DINO(TargetNetwork):
    """The online network is the student and the target the teacher, which is what is kept unless told otherwise."""

    def __init__(self, backbone: Backbone, options):
        super().__init__(backbone, options)
        self.keep = options.keep

    def make_heads(self, features: int) -> DistillationHeads:
        return DistillationHeads(features, self.options)

    def align(self, online_PBD: Tensor, target_PBD: Tensor, heads: Heads) -> Tensor:
        """Half the cross-entropy, so that two directions are a mean; in [0, ∞), ½ log K where nothing is told apart."""
        return cross_entropy(online_PBD, target_PBD, self.options.student_temperature) / 2


def build(options, backbone: Backbone, classes: int, size: int) -> DINO:
    return DINO(backbone, options)
