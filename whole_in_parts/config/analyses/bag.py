"""Options of the analysis `bag` (`evaluation/analyses/bag.py`)."""

from typing import Annotated, Literal

from pydantic import Field

from whole_in_parts.config.analysis import AnalysisConfig
from whole_in_parts.config.evaluations import Linear
from whole_in_parts.config.section import Bounds, Count, PositiveFractions, Section


class Windows(Section):
    """Patches of one size at every `stride` pixels."""

    size: Count
    stride: Count


class BagConfig(AnalysisConfig):
    """An image as a bag of patches: how many, at which scales, and the linear probe on their mean."""

    headline = "top1"
    name: Literal["bag"]
    patches: Annotated[list[Count], Field(min_length=1)]
    scale: PositiveFractions
    ratio: Bounds = (3 / 4, 4 / 3)
    windows: Windows | None = None
    train_subset: Count
    probe: Linear
