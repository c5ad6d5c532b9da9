"""Options of the method `mec` (`methods/mec.py`)."""

from typing import Literal

from whole_in_parts.config.method import TargetNetworkConfig
from whole_in_parts.config.section import Count, NotNegative, Positive


class MECConfig(TargetNetworkConfig):
    """MEC, maximum entropy coding."""

    name: Literal["mec"]
    """Selects MEC."""
    predictor: Count
    """Width of the hidden layer of the predictor."""
    distortion: Positive = 64.0
    """The distortion of the coding rate."""
    warmup_epochs: NotNegative = 10.0
    """Epochs over which λ reaches its value."""
