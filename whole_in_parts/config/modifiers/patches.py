"""Options of the modifier `patches` (`modifiers/patches.py`)."""

from typing import Literal

from whole_in_parts.config.modifier import ModifierConfig
from whole_in_parts.config.section import Bounds, PositiveFraction


class PatchesConfig(ModifierConfig):
    """Every view is a crop of one fixed scale."""

    name: Literal["patches"]
    """Selects fixed-scale patches."""
    scale: PositiveFraction
    """Area of every crop as a fraction of the image's area, above 0 and at most 1."""
    ratio: Bounds = (3 / 4, 4 / 3)
    """Smallest and largest aspect ratio (width / height) of a crop."""
