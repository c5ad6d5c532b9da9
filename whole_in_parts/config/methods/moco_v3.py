"""Options of the method `moco_v3` (`methods/moco_v3.py`)."""

from typing import Literal

from whole_in_parts.config.method import TargetNetworkConfig
from whole_in_parts.config.section import Count, Positive


class MoCoV3Config(TargetNetworkConfig):
    """`predictor` is the width of the predictor's hidden layer."""

    name: Literal["moco_v3"]
    predictor: Count
    temperature: Positive
