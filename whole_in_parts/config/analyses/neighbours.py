"""Options of the analysis `neighbours` (`evaluation/analyses/neighbours.py`)."""

from typing import Literal

from whole_in_parts.config.analysis import AnalysisConfig
from whole_in_parts.config.section import Bounds, Count, PositiveFractions


class NeighboursConfig(AnalysisConfig):
    """The nearest of so many patches of each image, of some share of its area: `neighbours` of each patch, and `shown`
    queries in the picture.
    """

    headline = "same_class_embedding"
    name: Literal["neighbours"]
    patches: Count
    scale: PositiveFractions
    ratio: Bounds = (3 / 4, 4 / 3)
    neighbours: Count = 8
    shown: Count = 6
