"""Options of the analysis `affinity` (`evaluation/analyses/affinity.py`)."""

from typing import Literal

from whole_in_parts.config.analysis import AnalysisConfig
from whole_in_parts.config.runs import Run
from whole_in_parts.config.section import Count, WholeNumber


class AffinityConfig(AnalysisConfig):
    """LoGo's learned affinity and the cosine, for pairs of local crops of the same image and of different images."""

    headline = "auroc_affinity"
    name: Literal["affinity"]
    """Selects the affinity analysis."""
    pairs: Count = 4
    """Number of pairs of the same image, and of pairs of different images, for each image."""
    shown: WholeNumber = 3
    """Number of images whose crops are shown, with the scores of each crop beside the first."""

    def incompatibility(self, run: Run) -> str:
        if getattr(run.modifier, "local_to_local", False):
            return ""
        return (
            f"name: affinity needs a run with modifier logo and its local_to_local; modifier here: {run.modifier.name}"
        )
