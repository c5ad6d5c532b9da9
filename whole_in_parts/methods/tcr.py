"""TCR: views are aligned while the total coding rate of the batch is maximised (Li et al., 2022, "Neural manifold
clustering and embedding", arXiv:2201.10000; as bags of patch embeddings use it, `docs/methods.md` A.12).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from whole_in_parts.config.methods.tcr import TCRConfig
from whole_in_parts.methods.joint_embedding import JointEmbedding
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.heads import Heads, mlp
from whole_in_parts.shapes import Float


class TCR(JointEmbedding[TCRConfig, Heads]):
    """One network encodes all views, with gradients through each."""

    needs_global_batch = True

    def make_heads(self, features: int, options: TCRConfig) -> Heads:
        return Heads(mlp([features, *options.projector]))

    def align(
        self, online_PBD: Float[Tensor, "#P B D"], target_PBD: Float[Tensor, "#P B D"], heads: Heads
    ) -> Float[Tensor, ""]:
        """Half of −½ (R + R') − λ · cosine similarity, which is symmetric in both views."""
        online_PBD = F.normalize(online_PBD, dim=-1)
        target_PBD = F.normalize(target_PBD, dim=-1)
        rate = (coding_rate(online_PBD, self.options.epsilon) + coding_rate(target_PBD, self.options.epsilon)) / 2
        similarity = (online_PBD * target_PBD).sum(-1).mean()
        return -(rate + self.options.invariance * similarity) / 2


def coding_rate(z_PBD: Float[Tensor, "P B D"], epsilon: float) -> Float[Tensor, ""]:
    """½ log det(I + D / (B ε) ZᵀZ) of unit vectors, a mean over positions; by the smaller of ZᵀZ and ZZᵀ.

    Never in half precision: the determinant needs single at least.
    """
    _, batch, width = z_PBD.shape
    z_PBD = z_PBD.to(torch.promote_types(z_PBD.dtype, torch.float32))
    gram_PNN = z_PBD.mT @ z_PBD if width <= batch else z_PBD @ z_PBD.mT
    identity_NN = torch.eye(gram_PNN.shape[-1], dtype=z_PBD.dtype, device=z_PBD.device)
    return torch.linalg.slogdet(identity_NN + width / (batch * epsilon) * gram_PNN).logabsdet.mean() / 2


def build(options: TCRConfig, backbone: Backbone, classes: int, size: int) -> TCR:
    return TCR(backbone, options)
