"""Options of the analysis `cost` (`evaluation/analyses/cost.py`)."""

from typing import Literal

from whole_in_parts.config.analysis import AnalysisConfig
from whole_in_parts.config.section import PositiveFraction


class CostConfig(AnalysisConfig):
    """Parameters, multiply-adds and T_min, the smallest part of an image that a local representation may cover."""

    headline = "forward_macs"
    name: Literal["cost"]
    """Selects the cost analysis."""
    crop_scale: PositiveFraction
    """Smallest crop scale of the views, as a fraction of the area, above 0 and at most 1; T_min is computed from it."""
