"""BYOL: Bootstrap Your Own Latent (Grill et al., 2020, arXiv:2006.07733).

An online network predicts the embedding of another view of the image by its EMA copy; there are no negatives. The loss
is summed over both directions, as in the paper (equation 2), without the constant 2.
"""

import torch.nn.functional as F
from torch import Tensor

from whole_in_parts.config.methods.byol import ByolConfig
from whole_in_parts.methods.target_network import TargetNetwork, TeacherHeads
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.heads import mlp
from whole_in_parts.shapes import Float


class BYOL(TargetNetwork[ByolConfig, TeacherHeads]):
    """Projector and predictor are MLPs with batch norm after each hidden layer."""

    def make_heads(self, features: int, options: ByolConfig) -> TeacherHeads:
        projector = options.projector
        output = projector[-1]
        predictor = mlp([output, options.predictor, output])
        return TeacherHeads(mlp([features, *projector]), predictor, options.momentum)

    def align(
        self, online_PBD: Float[Tensor, "#P B D"], target_PBD: Float[Tensor, "#P B D"], heads: TeacherHeads
    ) -> Float[Tensor, ""]:
        """Minus twice the cosine similarity, in [−2, 2]."""
        return -2 * F.cosine_similarity(online_PBD, target_PBD, dim=-1).mean()


def build(options: ByolConfig, backbone: Backbone, classes: int, size: int) -> BYOL:
    return BYOL(backbone, options)
