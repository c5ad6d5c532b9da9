"""Options of the analysis `cost` (`evaluation/analyses/cost.py`)."""

from typing import Literal

from whole_in_parts.config.analysis import AnalysisConfig
from whole_in_parts.config.section import PositiveFraction


class CostConfig(AnalysisConfig):
    """Parameters, multiply-adds and T_min for the least crop scale of the views."""

    headline = "forward_macs"
    name: Literal["cost"]
    crop_scale: PositiveFraction
