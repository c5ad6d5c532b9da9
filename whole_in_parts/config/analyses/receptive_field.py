"""Options of the analysis `receptive_field` (`evaluation/analyses/receptive_field.py`)."""

from typing import Literal

from whole_in_parts.config.analysis import AnalysisConfig
from whole_in_parts.config.section import Count


class ReceptiveFieldConfig(AnalysisConfig):
    """The effective receptive field, at every `stride` positions of the map."""

    headline = "side_32"
    name: Literal["receptive_field"]
    stride: Count = 2
