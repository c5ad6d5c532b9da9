"""Options of the task `copy_detection` (`evaluation/tasks/copy_detection.py`)."""

from typing import Literal

from whole_in_parts.config.section import Count
from whole_in_parts.config.task import TaskConfig


class CopyDetectionConfig(TaskConfig):
    """Ranking a database by whether an image is a copy of another, on a dataset of source `copydays`.

    Images are resized to squares of `image_size` pixels, or of what the backbone was pretrained at. What is not among
    the `top` nearest counts as not found.
    """

    name: Literal["copy_detection"]
    image_size: Count | None = None
    top: Count = 20

    @property
    def headline(self) -> str:
        return "map"
