"""SimSiam (Chen and He, 2021, arXiv:2011.10566): one network predicts its own embedding of another view.

There are neither negatives nor a target network: stopping the gradient of the target embedding is enough.
"""

import torch.nn.functional as F
from torch import Tensor

from whole_in_parts.config.methods.simsiam import SimSiamConfig
from whole_in_parts.methods.joint_embedding import JointEmbedding
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.heads import Heads, simsiam_mlps
from whole_in_parts.shapes import Float


class SimSiam(JointEmbedding[SimSiamConfig, Heads]):
    """A batch norm without parameters ends the projector; the predictor is narrow in the middle."""

    decays_1d = True

    def make_heads(self, features: int, options: SimSiamConfig) -> Heads:
        return Heads(*simsiam_mlps(features, options), options.constant_predictor_rate)

    def targets(self, target: list[Tensor], projected: list[Tensor], heads: Heads) -> list[Tensor]:
        return [z_PBD.detach() for z_PBD in projected[: len(target)]]

    def align(
        self, online_PBD: Float[Tensor, "#P B D"], target_PBD: Float[Tensor, "#P B D"], heads: Heads
    ) -> Float[Tensor, ""]:
        """Minus half the cosine similarity (equation 2), in [−½, ½]."""
        return -F.cosine_similarity(online_PBD, target_PBD, dim=-1).mean() / 2


def build(options: SimSiamConfig, backbone: Backbone, classes: int, size: int) -> SimSiam:
    return SimSiam(backbone, options)
