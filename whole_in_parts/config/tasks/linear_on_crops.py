"""Options of the task `linear_on_crops` (`evaluation/tasks/linear_on_crops.py`)."""

from typing import Literal

from whole_in_parts.config.section import Count, NotNegative, Positive
from whole_in_parts.config.task import TaskConfig


class LinearOnCropsConfig(TaskConfig):
    """A linear layer on frozen features of random crops, drawn anew in each epoch; what is left out is CO-SSL's."""

    name: Literal["linear_on_crops"]
    epochs: Count = 100
    batch_size: Count = 256
    learning_rate: Positive = 0.1
    schedule: Literal["cosine", "steps"] = "steps"
    weight_decay: NotNegative = 0.0
    seed: int = 0

    @property
    def headline(self) -> str:
        return "top1"
