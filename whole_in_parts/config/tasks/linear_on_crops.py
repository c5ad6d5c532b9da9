"""Options of the task `linear_on_crops` (`evaluation/tasks/linear_on_crops.py`)."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from whole_in_parts.config.evaluations import Representation
from whole_in_parts.config.section import Count, NotNegative, Positive, unique
from whole_in_parts.config.task import TaskConfig


class LinearOnCropsConfig(TaskConfig):
    """A linear layer on frozen features of random crops, new in each epoch; the defaults are CO-SSL's."""

    name: Literal["linear_on_crops"]
    """Selects linear classification on random crops."""
    epochs: Count = 100
    """Epochs of SGD."""
    batch_size: Count = 256
    """Images in a batch of SGD."""
    representation: Representation = "global"
    """The representation to classify: `global`, `patch`, `layer_1`, `layer_2`, …"""
    learning_rates: Annotated[tuple[Positive, ...], Field(min_length=1), AfterValidator(unique)] = (0.1,)
    """Initial learning rates of SGD. A layer is trained at each of them, all in one pass of the backbone; of several,
    the one that is best on held-out training images is evaluated."""
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Fraction of the training images of each class that choose among several learning rates; not trained on."""
    schedule: Literal["cosine", "steps"] = "steps"
    """Learning rate over time: a half `cosine` to 0, or `steps`: divided by 10 after 60 % and 80 % of the epochs."""
    weight_decay: NotNegative = 0.0
    """Weight decay of SGD."""
    seed: int = 0
    """Random seed of the training."""

    @property
    def headline(self) -> str:
        return "top1"
