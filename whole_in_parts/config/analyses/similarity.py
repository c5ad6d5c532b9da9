"""Options of the analysis `similarity` (`evaluation/analyses/similarity.py`)."""

from typing import Literal

from whole_in_parts.config.analysis import AnalysisConfig
from whole_in_parts.config.section import Count


class SimilarityConfig(AnalysisConfig):
    """Correlation of local and global similarity over random pairs of images."""

    headline = "correlation"
    name: Literal["similarity"]
    """Selects the similarity analysis."""
    pairs: Count
    """Number of random pairs of images."""
