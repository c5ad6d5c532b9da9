"""Options of the method `byol` (`methods/byol.py`)."""

from typing import Literal

from whole_in_parts.config.method import TargetNetworkConfig
from whole_in_parts.config.section import Count


class ByolConfig(TargetNetworkConfig):
    """BYOL predicts the embedding of a target network."""

    name: Literal["byol"]
    """Selects BYOL."""
    predictor: Count
    """Width of the hidden layer of the predictor."""
