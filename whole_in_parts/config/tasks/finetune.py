"""Options of the task `finetune` (`evaluation/tasks/finetune.py`)."""

from typing import Annotated, Literal

from pydantic import Field

from whole_in_parts.config.section import Count, Positive
from whole_in_parts.config.task import TaskConfig


class FinetuneConfig(TaskConfig):
    """Fine-tuning of the backbone with a linear layer, by SGD with a half cosine to 0."""

    name: Literal["finetune"]
    """Selects fine-tuning."""
    epochs: Count
    """Epochs of SGD."""
    batch_size: Annotated[int, Field(ge=2)]
    """Images in a batch; at least 2."""
    learning_rate: Positive
    """Initial learning rate of SGD."""
    seed: int = 0
    """Random seed of the training."""

    @property
    def headline(self) -> str:
        return "top1"
