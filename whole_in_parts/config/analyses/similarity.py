"""Options of the analysis `similarity` (`evaluation/analyses/similarity.py`)."""

from typing import Literal

from whole_in_parts.config.analysis import AnalysisConfig
from whole_in_parts.config.section import Count


class SimilarityConfig(AnalysisConfig):
    """The correlation of local and global similarity over so many pairs of images."""

    headline = "correlation"
    name: Literal["similarity"]
    pairs: Count
