"""Multi-crop: small crops beside the two large views (SwAV; Caron et al., 2020, arXiv:2006.09882, section 3.2).

Small crops are seen by the online network alone; each is aligned with each large view as the large views are with each
other. DINO and SwAV average over these pairs (`average: true`), the multi-crop BYOL of solo-learn sums them.
"""

from collections.abc import Sequence

from whole_in_parts.augment.views import Batch, Crop
from whole_in_parts.methods.base import Losses
from whole_in_parts.methods.joint_embedding import JointEmbedding
from whole_in_parts.modifiers.base import Modified


class MultiCrop(Modified):
    """A base that sees more crops; which of them are targets, `whole_in_parts/methods/` says."""

    base: JointEmbedding

    def crops(self, views: Sequence, size: int) -> list[Crop]:
        small = [Crop(crops.view, crops.size) for crops in self.options.crops for _ in range(crops.count)]
        return self.base.crops(views, size) + small

    def forward(self, batch: Batch) -> Losses:
        pair_ratio = self.base.pair_ratio(len(batch.views)) if self.options.average else 1
        return {name: loss / pair_ratio for name, loss in self.base(batch).items()}


def modify(method: JointEmbedding, options, size: int) -> MultiCrop:
    return MultiCrop(method, options)
