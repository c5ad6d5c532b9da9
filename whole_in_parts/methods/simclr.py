"""SimCLR (Chen et al., 2020, arXiv:2002.05709): a view identifies the other view of its image among all other views.

NT-Xent: each of the 2B views of a batch has one positive and 2(B − 1) negatives; the loss is the mean over the 2B.
"""

from torch import Tensor

from whole_in_parts.config.methods.simclr import SimCLRConfig
from whole_in_parts.methods.info_nce import info_nce
from whole_in_parts.methods.joint_embedding import JointEmbedding
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.heads import Heads, mlp
from whole_in_parts.shapes import Float


class SimCLR(JointEmbedding[SimCLRConfig, Heads]):
    """One network encodes all views, with gradients through each."""

    needs_global_batch = True

    def make_heads(self, features: int, options: SimCLRConfig) -> Heads:
        return Heads(mlp([features, *options.projector], norm=options.norm))

    def align(
        self, online_PBD: Float[Tensor, "#P B D"], target_PBD: Float[Tensor, "#P B D"], heads: Heads
    ) -> Float[Tensor, ""]:
        """Half of NT-Xent: the share of one view's B embeddings in the mean over 2B."""
        return info_nce(online_PBD, target_PBD, self.options.temperature, among=online_PBD) / 2


def build(options: SimCLRConfig, backbone: Backbone, classes: int, size: int) -> SimCLR:
    return SimCLR(backbone, options)
