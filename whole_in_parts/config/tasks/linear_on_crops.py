"""Options of the task `linear_on_crops` (`evaluation/tasks/linear_on_crops.py`)."""

from typing import Literal

from whole_in_parts.config.evaluations import LinearOnCrops
from whole_in_parts.config.task import TaskConfig


class LinearOnCropsConfig(TaskConfig, LinearOnCrops):
    """Linear layers on frozen features of random crops, new in each epoch; the defaults are CO-SSL's."""

    name: Literal["linear_on_crops"]
    """Selects linear classification on random crops."""

    @property
    def headline(self) -> str:
        return "top1" if "global" in self.representations else f"top1_{self.representations[0]}"
