"""Options of the task `finetune` (`evaluation/tasks/finetune.py`)."""

from typing import Literal

from whole_in_parts.config.evaluations import Percentage
from whole_in_parts.config.section import Count, NotNegative, Positive, Seed, SeveralOf
from whole_in_parts.config.task import TaskConfig


class FinetuneConfig(TaskConfig):
    """Fine-tuning of the backbone with a linear layer, by SGD with a half cosine to 0 after the warm-up."""

    name: Literal["finetune"]
    """Selects fine-tuning."""
    epochs: Count
    """Epochs of SGD."""
    batch_size: SeveralOf
    """Images in a batch; at least 2."""
    learning_rate: Positive
    """Peak learning rate of SGD."""
    warmup_epochs: NotNegative = 0.0
    """Epochs over which the learning rate rises from 0."""
    weight_decay: NotNegative = 0.0
    """Weight decay of SGD, of biases and norms too."""
    labels: Percentage = 100
    """Percentage of the training images of each class that are trained on, 1 to 100."""
    seed: Seed = 0
    """Random seed of the training."""

    @property
    def headline(self) -> str:
        return "top1"
