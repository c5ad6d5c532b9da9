"""Options of the task `retrieval` (`evaluation/tasks/retrieval.py`)."""

from typing import Annotated, Literal

from pydantic import Field

from whole_in_parts.config.section import Count, PositiveFraction
from whole_in_parts.config.task import TaskConfig


class RetrievalConfig(TaskConfig):
    """Landmark retrieval: a gallery is ranked by similarity to a query; needs a dataset of source `revisited`."""

    name: Literal["retrieval"]
    """Selects landmark retrieval."""
    image_size: Count | None = None
    """Largest side of an image, in pixels; larger images are shrunk. The pretraining size if left out."""
    scales: Annotated[tuple[PositiveFraction, ...], Field(min_length=1)] = (1.0,)
    """Scales at which each image is embedded, above 0 and at most 1."""

    @property
    def headline(self) -> str:
        return "map_medium"
