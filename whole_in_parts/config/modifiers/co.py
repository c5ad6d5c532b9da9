"""Options of the modifier `co` (`modifiers/co.py`)."""

from typing import Literal

from whole_in_parts.config.method import JointEmbeddingConfig
from whole_in_parts.config.modifier import ModifierConfig
from whole_in_parts.config.section import NotNegative, WholeNumber


class COConfig(ModifierConfig):
    """`weight` is w_s; `map_size` is n, of the n² local representations, and 0 takes the map as it is; `layer` counts
    the backbone's maps from 1, and 0 is the last.
    """

    modifies = JointEmbeddingConfig
    name: Literal["co"]
    weight: NotNegative
    map_size: WholeNumber = 0
    resize: Literal["nearest", "mean"] = "nearest"
    layer: WholeNumber = 0
    shared_heads: bool = False
