"""MoCo v3 (Chen et al., 2021, arXiv:2104.02057): a query identifies its key among the keys of the batch.

The momentum encoder makes the key; the online network and a predictor make the query. The ResNet recipe of the
authors' code: no biases, and a batch norm without parameters ends the projector. Summed over both directions.
"""

from torch import Tensor

from whole_in_parts.config.methods.moco_v3 import MoCoV3Config
from whole_in_parts.methods.info_nce import info_nce
from whole_in_parts.methods.target_network import TargetNetwork, TeacherHeads
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.heads import mlp
from whole_in_parts.shapes import Float


class MoCoV3(TargetNetwork[MoCoV3Config, TeacherHeads]):
    """Under `co`, the negatives of a local key are the local keys at the same position."""

    needs_global_batch = True

    def make_heads(self, features: int, options: MoCoV3Config) -> TeacherHeads:
        widths = [features, *options.projector]
        output = widths[-1]
        predictor = mlp([output, options.predictor, output], bias=False)
        return TeacherHeads(mlp(widths, bias=False, last_norm=True), predictor, options.momentum)

    def align(
        self, online_PBD: Float[Tensor, "#P B D"], target_PBD: Float[Tensor, "#P B D"], heads: TeacherHeads
    ) -> Float[Tensor, ""]:
        """Cross-entropy of the right key, times twice the temperature (the paper's Algorithm 1); never negative."""
        temperature = self.options.temperature
        return 2 * temperature * info_nce(online_PBD, target_PBD, temperature)


def build(options: MoCoV3Config, backbone: Backbone, classes: int, size: int) -> MoCoV3:
    return MoCoV3(backbone, options)
