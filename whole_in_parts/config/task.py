"""Base class of the options of all transfer tasks."""

from typing import TYPE_CHECKING

from whole_in_parts.config.precision import BackbonePrecision


class TaskConfig(BackbonePrecision):
    """The options of a transfer task."""

    if TYPE_CHECKING:
        name: str

    @property
    def headline(self) -> str:
        """The metric that the report shows for the task."""
        raise NotImplementedError
