"""Options of the method `barlow_twins` (`methods/barlow_twins.py`)."""

from typing import Literal

from whole_in_parts.config.method import JointEmbeddingConfig
from whole_in_parts.config.section import NotNegative


class BarlowTwinsConfig(JointEmbeddingConfig):
    """Barlow Twins pulls the cross-correlation of two views towards the identity."""

    name: Literal["barlow_twins"]
    """Selects Barlow Twins."""
    redundancy: NotNegative = 5e-3
    """The paper's λ, the weight of the correlations between different dimensions."""
