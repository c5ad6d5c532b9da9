"""BYOL: Bootstrap Your Own Latent (Grill et al., 2020, arXiv:2006.07733).

An online network predicts what a slowly moving copy of it says of another view of the image; without negatives.
The loss is summed over the two directions, as the paper's is (its equation 2), without the constant 2.
"""

import torch.nn.functional as F
from torch import Tensor

from whole_in_parts.methods.target_network import TargetNetwork, TeacherHeads
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.heads import Heads, mlp


class BYOL(TargetNetwork):
    """Projector and predictor are MLPs with batch norm after each hidden layer."""

    def make_heads(self, features: int) -> TeacherHeads:
        projector, output = self.options.projector, self.options.projector[-1]
        predictor = mlp([output, self.options.predictor, output])
        return TeacherHeads(mlp([features, *projector]), predictor, self.options.momentum)

    def align(self, online_PBD: Tensor, target_PBD: Tensor, heads: Heads) -> Tensor:
        """Minus twice the cosine similarity, in [−2, 2]."""
        return -2 * F.cosine_similarity(online_PBD, target_PBD, dim=-1).mean()


def build(options, backbone: Backbone, classes: int, size: int) -> BYOL:
    return BYOL(backbone, options)
