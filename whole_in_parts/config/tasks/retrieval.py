"""Options of the task `retrieval` (`evaluation/tasks/retrieval.py`)."""

from typing import Annotated, Literal

from pydantic import Field

from whole_in_parts.config.section import Count, PositiveFraction
from whole_in_parts.config.task import TaskConfig


class RetrievalConfig(TaskConfig):
    """Ranking a gallery by whether it shows the building of a query, on a dataset of source `revisited`.

    Images are shrunk to have no side above `image_size` pixels, or above what the backbone was pretrained at, and are
    seen at each of the `scales`.
    """

    name: Literal["retrieval"]
    image_size: Count | None = None
    scales: Annotated[tuple[PositiveFraction, ...], Field(min_length=1)] = (1.0,)

    @property
    def headline(self) -> str:
        return "map_medium"
