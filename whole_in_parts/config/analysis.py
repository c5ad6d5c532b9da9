"""What the options of all analyses have in common."""

from typing import TYPE_CHECKING, ClassVar

from whole_in_parts.config.runs import Run
from whole_in_parts.config.section import Section


class AnalysisConfig(Section):
    """`headline` is the metric that stands for an analysis."""

    if TYPE_CHECKING:
        name: str

    headline: ClassVar[str]

    def misfit(self, run: Run) -> str:
        """Why a run cannot be analysed so, or nothing."""
        return ""
