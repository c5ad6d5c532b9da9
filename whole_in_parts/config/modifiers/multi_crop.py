"""Options of the modifier `multi_crop` (`modifiers/multi_crop.py`)."""

from typing import Annotated, Literal

from pydantic import Field

from whole_in_parts.config.method import JointEmbeddingConfig
from whole_in_parts.config.modifier import ModifierConfig
from whole_in_parts.config.views import SmallCrops


class MultiCropConfig(ModifierConfig):
    """`average` divides the sum over the pairs of crops by the number of views less one: true for DINO and SwAV."""

    modifies = JointEmbeddingConfig
    name: Literal["multi_crop"]
    crops: Annotated[list[SmallCrops], Field(min_length=1)]
    average: bool

    def crop_sizes(self) -> dict[str, int]:
        return {f"crops.{index}.size": crops.size for index, crops in enumerate(self.crops)}
