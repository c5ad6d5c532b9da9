"""Base class of the options of all analyses."""

from typing import TYPE_CHECKING, ClassVar

from whole_in_parts.config.runs import Run
from whole_in_parts.config.section import Section


class AnalysisConfig(Section):
    """The options of an analysis."""

    if TYPE_CHECKING:
        name: str

    headline: ClassVar[str]
    """The metric that the report shows for the analysis."""

    def incompatibility(self, run: Run) -> str:
        """Return why a run cannot be analysed with these options, or an empty string if it can."""
        return ""
