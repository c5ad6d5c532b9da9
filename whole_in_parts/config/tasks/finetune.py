"""Options of the task `finetune` (`evaluation/tasks/finetune.py`)."""

from typing import Annotated, Literal

from pydantic import Field

from whole_in_parts.config.section import Count, Positive
from whole_in_parts.config.task import TaskConfig


class FinetuneConfig(TaskConfig):
    """Training the backbone on with a linear layer: SGD at `learning_rate`, which goes to nothing on a cosine."""

    name: Literal["finetune"]
    epochs: Count
    batch_size: Annotated[int, Field(ge=2)]
    learning_rate: Positive
    seed: int = 0

    @property
    def headline(self) -> str:
        return "top1"
