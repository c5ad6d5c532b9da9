"""Crops of one fixed scale, so that an image is a bag of patches ("Intra-instance VICReg: bag of self-supervised image
patch embedding explains the performance", section 3; `docs/methods.md` A.15).
"""

from collections.abc import Sequence

from whole_in_parts.augment.views import Crop
from whole_in_parts.config.modifiers.patches import PatchesConfig
from whole_in_parts.config.views import View
from whole_in_parts.methods.base import Method
from whole_in_parts.modifiers.base import Modified


class Patches(Modified[Method, PatchesConfig]):
    """A base whose views are all cropped at one scale; their colour augmentation stays the run's."""

    def crops(self, views: Sequence[View], size: int) -> list[Crop]:
        fixed = {"crop_scale": (self.options.scale,) * 2, "ratio": self.options.ratio}
        return [crop._replace(recipe=crop.recipe.model_copy(update=fixed)) for crop in self.base.crops(views, size)]


def modify(method: Method, options: PatchesConfig, size: int) -> Patches:
    return Patches(method, options)
