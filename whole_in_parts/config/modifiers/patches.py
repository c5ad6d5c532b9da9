"""Options of the modifier `patches` (`modifiers/patches.py`)."""

from typing import Literal

from whole_in_parts.config.modifier import ModifierConfig
from whole_in_parts.config.section import Bounds, PositiveFraction


class PatchesConfig(ModifierConfig):
    """Every view is a crop of this share of the image's area; `ratio` bounds its width to height."""

    name: Literal["patches"]
    scale: PositiveFraction
    ratio: Bounds = (3 / 4, 4 / 3)
