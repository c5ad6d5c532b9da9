"""Options of the analysis `heat_map` (`evaluation/analyses/heat_map.py`)."""

from typing import Literal

from whole_in_parts.config.analysis import AnalysisConfig
from whole_in_parts.config.runs import Run
from whole_in_parts.config.section import Count, Fraction


class HeatMapConfig(AnalysisConfig):
    """The likeness of a window to all others, of `size` pixels at every `stride`; `place` is where the query lies, as
    shares of the height and of the width.
    """

    headline = "same_image_embedding"
    name: Literal["heat_map"]
    size: Count
    stride: Count
    place: tuple[Fraction, Fraction] = (0.5, 0.5)
    shown: Count = 4

    def misfit(self, run: Run) -> str:
        larger = self.size > run.image_size
        return f"size: a window of {self.size} is larger than the run's images, of {run.image_size}" if larger else ""
