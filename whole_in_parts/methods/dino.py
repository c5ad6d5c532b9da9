"""DINO: self-distillation with no labels (Caron et al., 2021, arXiv:2104.14294).

A student predicts the distribution over prototypes that its EMA teacher computes from another view; the teacher's
scores are centred and sharpened against collapse. The loss is the mean over the pairs of views.
"""

from torch import Tensor

from whole_in_parts.config.methods.dino import DinoConfig
from whole_in_parts.methods.distillation import DistillationHeads
from whole_in_parts.methods.target_network import TargetNetwork
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.prototypes import cross_entropy
from whole_in_parts.shapes import Float


class DINO(TargetNetwork[DinoConfig, DistillationHeads]):
    """The online network is the student and the target network the teacher, which is kept by default."""

    def __init__(self, backbone: Backbone, options: DinoConfig) -> None:
        super().__init__(backbone, options)
        self.keep = options.keep

    def make_heads(self, features: int, options: DinoConfig) -> DistillationHeads:
        return DistillationHeads(features, options)

    def align(
        self, online_PBD: Float[Tensor, "#P B D"], target_PBD: Float[Tensor, "#P B D"], heads: DistillationHeads
    ) -> Float[Tensor, ""]:
        """Half the cross-entropy, so that two directions are a mean; in [0, ∞), ½ log K for uniform distributions."""
        return cross_entropy(online_PBD, target_PBD, self.options.student_temperature) / 2


def build(options: DinoConfig, backbone: Backbone, classes: int, size: int) -> DINO:
    return DINO(backbone, options)
