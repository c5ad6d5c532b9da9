"""MoCo v3 (Chen et al., 2021, arXiv:2104.02057): a query tells its key from those of the other images of the batch.

The key is made by a slowly moving network, the query by the online one and a predictor. The ResNet recipe of the
authors' code: no biases, and a batch norm without parameters ends the projector. Summed over both directions.
"""

from torch import Tensor

from whole_in_parts.methods.info_nce import info_nce
from whole_in_parts.methods.target_network import TargetNetwork, TeacherHeads
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.heads import Heads, mlp


class MoCoV3(TargetNetwork):
    """Under `co`, the negatives of a local key are the local keys at the same position."""

    needs_global_batch = True

    def make_heads(self, features: int) -> TeacherHeads:
        widths, output = [features, *self.options.projector], self.options.projector[-1]
        predictor = mlp([output, self.options.predictor, output], bias=False)
        return TeacherHeads(mlp(widths, bias=False, last_norm=True), predictor, self.options.momentum)

    def align(self, online_PBD: Tensor, target_PBD: Tensor, heads: Heads) -> Tensor:
        """Cross-entropy of the right key, times twice the temperature (the paper's Algorithm 1); never negative."""
        temperature = self.options.temperature
        return 2 * temperature * info_nce(online_PBD, target_PBD, temperature)


def build(options, backbone: Backbone, classes: int, size: int) -> MoCoV3:
    return MoCoV3(backbone, options)
