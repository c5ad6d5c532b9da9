"""Options of the task `copy_detection` (`evaluation/tasks/copy_detection.py`)."""

from typing import Literal

from whole_in_parts.config.section import Count
from whole_in_parts.config.task import TaskConfig


class CopyDetectionConfig(TaskConfig):
    """Copy detection: originals are ranked by similarity to a distorted copy; needs a dataset of source `copydays`."""

    name: Literal["copy_detection"]
    """Selects copy detection."""
    image_size: Count | None = None
    """Side of the square that images are resized to, in pixels; the pretraining size if left out."""
    top: Count = 20
    """Number of nearest images that are ranked; an original beyond them counts as not found."""

    @property
    def headline(self) -> str:
        return "map"
