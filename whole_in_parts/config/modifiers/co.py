"""Options of the modifier `co` (`modifiers/co.py`)."""

from typing import Literal

from whole_in_parts.config.method import JointEmbeddingConfig
from whole_in_parts.config.modifier import ModifierConfig
from whole_in_parts.config.section import NotNegative, WholeNumber


class COConfig(ModifierConfig):
    """CO-SSL aligns local representations with the global representation of the other view."""

    modifies = JointEmbeddingConfig
    name: Literal["co"]
    """Selects CO-SSL."""
    weight: NotNegative
    """Weight w_s of the local–global term."""
    map_size: WholeNumber = 0
    """Side n of the map of n² local representations after a resize, at most that of the backbone; 0 keeps the map."""
    resize: Literal["nearest", "mean"] = "nearest"
    """Resize of the map to `map_size`."""
    layer: WholeNumber = 0
    """Index of the backbone's map, counted from 1; 0 is the last."""
    shared_heads: bool = False
    """Use the heads of the base for local representations too, instead of separate ones."""
