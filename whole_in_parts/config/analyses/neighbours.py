"""Options of the analysis `neighbours` (`evaluation/analyses/neighbours.py`)."""

from typing import Literal

from whole_in_parts.config.analysis import AnalysisConfig
from whole_in_parts.config.section import Bounds, Count, PositiveFractions


class NeighboursConfig(AnalysisConfig):
    """Nearest neighbours of random patches, among the patches of the other images, or of all."""

    headline = "same_class_embedding"
    name: Literal["neighbours"]
    """Selects the nearest-neighbour analysis."""
    patches: Count
    """Number of random patches of each image."""
    scale: PositiveFractions
    """Smallest and largest area of a patch, as a fraction of the image's area, above 0 and at most 1."""
    ratio: Bounds = (3 / 4, 4 / 3)
    """Smallest and largest aspect ratio (width / height) of a patch."""
    split: Literal["test", "train"] = "test"
    """The split of the images: the subset of the test images, or as many training images, as in I²-VICReg."""
    own_image: bool = False
    """Let the other patches of the query's own image be neighbours too, as in I²-VICReg."""
    neighbours: Count = 8
    """Number of neighbours of each patch."""
    shown: Count = 6
    """Number of queries in the picture."""
