"""Base class of the options of all origins of weights that others trained."""

from typing import TYPE_CHECKING

from whole_in_parts.config.section import Section


class OriginConfig(Section):
    """The options of an origin of weights."""

    if TYPE_CHECKING:
        name: str
