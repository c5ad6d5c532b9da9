"""The section `analyse`: analyses of pretrained backbones."""

from typing import TYPE_CHECKING

from whole_in_parts.config.analysis import AnalysisConfig
from whole_in_parts.config.section import Count, Name, Section
from whole_in_parts.config.variants import union_of

if TYPE_CHECKING:
    AnyAnalysis = AnalysisConfig
else:
    AnyAnalysis = union_of("analyses")


class Analyse(Section):
    """One analysis of one run on a subset of the test images of a dataset."""

    run: Name
    """The run to analyse: a key of `runs`."""
    dataset: Name
    """The dataset whose test images are used: a key of `datasets`."""
    analysis: AnyAnalysis
    """The analysis and its options, chosen by `name`."""
    subset: Count
    """Approximate number of test images, stratified by class; all of them if there are fewer."""
