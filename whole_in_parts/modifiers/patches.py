"""Crops of one fixed scale, so that an image is a bag of patches ("Intra-instance VICReg: bag of self-supervised image
patch embedding explains the performance", section 3; `methods.md` A.15).
"""

from collections.abc import Sequence

from whole_in_parts.augment.views import Crop
from whole_in_parts.methods.base import Method
from whole_in_parts.modifiers.base import Modified


class Patches(Modified):
    """A base whose views are all cut at one scale; their colours stay as the run has them."""

    def crops(self, views: Sequence, size: int) -> list[Crop]:
        fixed = {"crop_scale": (self.options.scale,) * 2, "ratio": self.options.ratio}
        return [crop._replace(recipe=crop.recipe.model_copy(update=fixed)) for crop in self.base.crops(views, size)]


def modify(method: Method, options, size: int) -> Patches:
    return Patches(method, options)
