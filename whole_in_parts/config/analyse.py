"""The section `analyse`: what is looked at in a pretrained backbone."""

from typing import TYPE_CHECKING

from whole_in_parts.config.analysis import AnalysisConfig
from whole_in_parts.config.section import Count, Name, Section
from whole_in_parts.config.variants import union_of

if TYPE_CHECKING:
    AnyAnalysis = AnalysisConfig
else:
    AnyAnalysis = union_of("analyses")


class Analyse(Section):
    """One analysis of one run, on a part of the test images of a dataset."""

    run: Name
    dataset: Name
    analysis: AnyAnalysis
    subset: Count
