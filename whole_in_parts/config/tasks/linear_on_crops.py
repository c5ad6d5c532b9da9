"""Options of the task `linear_on_crops` (`evaluation/tasks/linear_on_crops.py`)."""

from typing import Literal

from whole_in_parts.config.section import Count, NotNegative, Positive
from whole_in_parts.config.task import TaskConfig


class LinearOnCropsConfig(TaskConfig):
    """A linear layer on frozen features of random crops, new in each epoch; the defaults are CO-SSL's."""

    name: Literal["linear_on_crops"]
    """Selects linear classification on random crops."""
    epochs: Count = 100
    """Epochs of SGD."""
    batch_size: Count = 256
    """Images in a batch of SGD."""
    learning_rate: Positive = 0.1
    """Initial learning rate of SGD."""
    schedule: Literal["cosine", "steps"] = "steps"
    """Learning rate over time: a half `cosine` to 0, or `steps`: divided by 10 after 60 % and 80 % of the epochs."""
    weight_decay: NotNegative = 0.0
    """Weight decay of SGD."""
    seed: int = 0
    """Random seed of the training."""

    @property
    def headline(self) -> str:
        return "top1"
