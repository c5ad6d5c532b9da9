"""Options of the method `byol` (`methods/byol.py`)."""

from typing import Literal

from whole_in_parts.config.method import TargetNetworkConfig
from whole_in_parts.config.section import Count


class ByolConfig(TargetNetworkConfig):
    """`predictor` is the width of the predictor's hidden layer."""

    name: Literal["byol"]
    predictor: Count
