"""Options of the task `linear` (`evaluation/tasks/linear.py`)."""

from typing import Literal, Self

from pydantic import model_validator

from whole_in_parts.config.evaluations import Linear
from whole_in_parts.config.task import TaskConfig


class LinearTaskConfig(TaskConfig):
    """Logistic regression on frozen features."""

    name: Literal["linear"]
    """Selects linear classification."""
    metric: Literal["top1", "mean_per_class"] = "top1"
    """The dataset's usual accuracy: `top1`, or `mean_per_class` for Pets, Flowers, Caltech-101 and Aircraft."""
    probe: Linear | None = None
    """Train the layer by SGD instead, for sets too large for logistic regression, such as Places365."""

    @model_validator(mode="after")
    def probe_uses_sgd_and_all_labels(self) -> Self:
        if self.probe and (self.probe.solver != "sgd" or self.probe.labels != [100]):
            raise ValueError("probe: takes solver sgd and labels [100]; for logistic regression, leave probe out")
        return self

    @property
    def headline(self) -> str:
        return self.metric
