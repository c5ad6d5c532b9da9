"""Options of the analysis `heat_map` (`evaluation/analyses/heat_map.py`)."""

from typing import Literal

from whole_in_parts.config.analysis import AnalysisConfig
from whole_in_parts.config.runs import Run
from whole_in_parts.config.section import Count, Fraction


class HeatMapConfig(AnalysisConfig):
    """Similarity of one window of an image to all windows of the same image and of another one."""

    headline = "same_image_embedding"
    name: Literal["heat_map"]
    """Selects the heat-map analysis."""
    size: Count
    """Side of a window, in pixels; not above the run's `image_size`."""
    stride: Count
    """Distance between neighbouring windows, in pixels."""
    place: tuple[Fraction, Fraction] = (0.5, 0.5)
    """Position of the query window, as fractions (0 to 1) of the grid's height and width."""
    shown: Count = 4
    """Number of images in the picture."""

    def incompatibility(self, run: Run) -> str:
        if self.size <= run.image_size:
            return ""
        return f"size: a window of {self.size} is larger than the run's images, of {run.image_size}"
