"""Options of the analysis `bag` (`evaluation/analyses/bag.py`)."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from whole_in_parts.config.analysis import AnalysisConfig
from whole_in_parts.config.evaluations import KNN, Linear
from whole_in_parts.config.runs import Run
from whole_in_parts.config.section import Bounds, Count, PositiveFractions, Section

Feature = Literal["global", "pooled_2x2"]


class Windows(Section):
    """Square patches on a regular grid."""

    size: Count
    """Side of a patch, in pixels."""
    stride: Count
    """Distance between neighbouring patches, in pixels."""
    feature: Feature = "global"
    """`global` representation of a patch, or its last map `pooled_2x2`, the 2 × 2 means of I²-VICReg's Table 5."""
    join: bool = True
    """Evaluate the concatenation too, which takes as many times the memory of the mean as there are patches."""


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
    knn: KNN | None = None
    """The kNN that is evaluated beside each probe, with all labels; none if left out."""

    @model_validator(mode="after")
    def classifiers_are_supported(self) -> Self:
        for name, classifier in {"knn": self.knn, "probe": self.probe}.items():
            if classifier and classifier.labels != [100]:
                labels = classifier.labels
                raise ValueError(f"{name}.labels: bags are classified with all labels; leave it out, not {labels}")
        if self.probe.solver != "sgd":
            raise ValueError(f"probe.solver: bags are probed by sgd, not {self.probe.solver}")
        if self.probe.crops:
            raise ValueError("probe.crops: bags are probed on the mean embeddings of their patches; leave it out")
        return self

    def incompatibility(self, run: Run) -> str:
        if not self.windows or self.windows.size <= run.image_size:
            return ""
        return f"windows.size: a window of {self.windows.size} is larger than the run's images, of {run.image_size}"
