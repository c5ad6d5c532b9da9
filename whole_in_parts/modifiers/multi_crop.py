"""Multi-crop: small crops beside the two large views (SwAV; Caron et al., 2020, arXiv:2006.09882, section 3.2).

Only the online network sees the small crops; every small crop is aligned with every large view, as the large views are
with each other. DINO and SwAV average over these pairs (`average: true`); solo-learn's multi-crop BYOL sums them.
"""

from collections.abc import Sequence

from whole_in_parts.augment.views import Batch, Crop
from whole_in_parts.config.modifiers.multi_crop import MultiCropConfig
from whole_in_parts.config.views import View
from whole_in_parts.methods.base import Output
from whole_in_parts.methods.joint_embedding import AnyJointEmbedding
from whole_in_parts.modifiers.base import Modified


class MultiCrop(Modified[AnyJointEmbedding, MultiCropConfig]):
    """A base with small crops beside its views; `methods/joint_embedding.py` defines which crops are targets."""

    def crops(self, views: Sequence[View], size: int) -> list[Crop]:
        small = [Crop(crops.view, crops.size) for crops in self.options.crops for _ in range(crops.count)]
        return self.base.crops(views, size) + small

    def forward(self, batch: Batch) -> Output:
        output = self.base(batch)
        pair_ratio = self.base.pair_ratio(len(batch.views)) if self.options.average else 1
        return output._replace(losses={name: loss / pair_ratio for name, loss in output.losses.items()})


def modify(method: AnyJointEmbedding, options: MultiCropConfig, size: int) -> MultiCrop:
    return MultiCrop(method, options)
