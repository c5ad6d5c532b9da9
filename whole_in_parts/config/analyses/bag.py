"""Options of the analysis `bag` (`evaluation/analyses/bag.py`)."""

from typing import Annotated, Literal

from pydantic import Field

from whole_in_parts.config.analysis import AnalysisConfig
from whole_in_parts.config.evaluations import Linear
from whole_in_parts.config.section import Bounds, Count, PositiveFractions, Section


class Windows(Section):
    """Square patches on a regular grid."""

    size: Count
    """Side of a patch, in pixels."""
    stride: Count
    """Distance between neighbouring patches, in pixels."""


class BagConfig(AnalysisConfig):
    """An image as a bag of patches: the linear probe on the mean of their embeddings."""

    headline = "top1"
    name: Literal["bag"]
    """Selects the bag-of-patches analysis."""
    patches: Annotated[list[Count], Field(min_length=1)]
    """Numbers of random patches to average over; `top1` is that of the largest."""
    scale: PositiveFractions
    """Smallest and largest area of a patch, as a fraction of the image's area, above 0 and at most 1."""
    ratio: Bounds = (3 / 4, 4 / 3)
    """Smallest and largest aspect ratio (width / height) of a patch."""
    windows: Windows | None = None
    """A grid of patches to evaluate too, by their mean and by their concatenation; none if left out."""
    train_subset: Count
    """Approximate number of train images for the probe, stratified by class."""
    probe: Linear
    """The linear probe that is trained on the means."""
