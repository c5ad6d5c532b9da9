"""Options of the analysis `receptive_field` (`evaluation/analyses/receptive_field.py`)."""

from typing import Literal

from whole_in_parts.config.analysis import AnalysisConfig
from whole_in_parts.config.section import Count, WholeNumber


class ReceptiveFieldConfig(AnalysisConfig):
    """The effective receptive field, measured by gradients with respect to the image."""

    headline = "side_32"
    name: Literal["receptive_field"]
    """Selects the receptive-field analysis."""
    stride: Count = 2
    """Distance between the measured positions of the map; 1 measures all."""
    shown: WholeNumber = 2
    """Number of images whose own fields are shown, beside the mean over all images."""
