"""Options of the analysis `affinity` (`evaluation/analyses/affinity.py`)."""

from typing import Literal

from whole_in_parts.config.analysis import AnalysisConfig
from whole_in_parts.config.runs import Run
from whole_in_parts.config.section import Count


class AffinityConfig(AnalysisConfig):
    """LoGo's affinity and the cosine, of so many pairs of local crops of each image and as many of two images."""

    headline = "auroc_affinity"
    name: Literal["affinity"]
    pairs: Count = 4

    def misfit(self, run: Run) -> str:
        if getattr(run.modifier, "local_to_local", False):
            return ""
        return (
            f"name: affinity needs a run with modifier logo and its local_to_local; modifier here: {run.modifier.name}"
        )
