"""Options of the modifier `multi_crop` (`modifiers/multi_crop.py`)."""

from typing import Annotated, Literal

from pydantic import Field

from whole_in_parts.config.method import JointEmbeddingConfig
from whole_in_parts.config.modifier import ModifierConfig
from whole_in_parts.config.views import SmallCrops


class MultiCropConfig(ModifierConfig):
    """Multi-crop adds small crops, which the online network alone sees."""

    modifies = JointEmbeddingConfig
    name: Literal["multi_crop"]
    """Selects multi-crop."""
    crops: Annotated[list[SmallCrops], Field(min_length=1)]
    """The groups of small crops."""
    average: bool
    """Average over pairs of crops, as DINO and SwAV do, instead of summing: divide by the number of views less one."""

    def crop_sizes(self) -> dict[str, int]:
        return {f"crops.{index}.size": crops.size for index, crops in enumerate(self.crops)}
