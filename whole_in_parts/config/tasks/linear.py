"""Options of the task `linear` (`evaluation/tasks/linear.py`)."""

from typing import Literal, Self

from pydantic import model_validator

from whole_in_parts.config.evaluations import Linear
from whole_in_parts.config.task import TaskConfig


class LinearTaskConfig(TaskConfig):
    """Logistic regression on frozen features.

    `metric` is the accuracy that is usual on the dataset: Pets, Flowers, Caltech-101 and Aircraft have the mean of
    their classes', whose numbers of images differ. Where there are too many images for logistic regression, such as
    those of Places365, `probe` trains the layer by SGD.
    """

    name: Literal["linear"]
    metric: Literal["top1", "mean_per_class"] = "top1"
    probe: Linear | None = None

    @model_validator(mode="after")
    def probe_is_what_it_says(self) -> Self:
        if self.probe and (self.probe.solver != "sgd" or self.probe.labels != [100]):
            raise ValueError("probe: here it is by SGD and by all labels; for logistic regression, leave it out")
        return self

    @property
    def headline(self) -> str:
        return self.metric
