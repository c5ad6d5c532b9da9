"""Options of the method `mec` (`methods/mec.py`)."""

from typing import Literal

from whole_in_parts.config.method import TargetNetworkConfig
from whole_in_parts.config.section import Count, NotNegative, Positive


class MECConfig(TargetNetworkConfig):
    """`predictor` is the width of the predictor's hidden layer; `warmup_epochs` is that of λ."""

    name: Literal["mec"]
    predictor: Count
    distortion: Positive = 64.0
    warmup_epochs: NotNegative = 10.0
