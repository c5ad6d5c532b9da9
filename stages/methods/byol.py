"""BYOL: Bootstrap Your Own Latent (Grill et al., 2020, arXiv:2006.07733).

An online network predicts what a slowly moving copy of it says of another view of the image; without negatives.
The loss is summed over the two directions, as the paper's is (its equation 2), without the constant 2.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from stages.backbones import Backbone
from stages.methods import Heads, JointEmbedding


class BYOL(JointEmbedding):
    """Projector and predictor are MLPs of one hidden layer with batch norm."""

    def make_heads(self, features: int) -> Heads:
        hidden, output = self.options.hidden, self.options.output
        return Heads(mlp(features, hidden, output), mlp(output, hidden, output))

    def align(self, online_PBD: Tensor, target_PBD: Tensor) -> Tensor:
        """Minus twice the cosine similarity, in [−2, 2]."""
        return -2 * F.cosine_similarity(online_PBD, target_PBD, dim=-1).mean()


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Linear, batch norm, ReLU, linear: (N, inputs) to (N, outputs)."""
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True), nn.Linear(hidden, outputs)
    )


def build(options, backbone: Backbone, classes: int) -> BYOL:
    return BYOL(backbone, options)
