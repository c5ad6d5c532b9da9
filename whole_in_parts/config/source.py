"""Base class of the options of all sources of images."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from whole_in_parts.config.section import Count, Section


class Resize(Section):
    """Shrink large images before they are packed, and store them as JPEG; smaller images stay as they are."""

    short_side: Count
    """Length of the shorter side after the resize, in pixels; images whose shorter side is no longer are kept."""
    quality: Annotated[int, Field(ge=1, le=95)] = 90
    """JPEG quality of the shrunk images, 1 to 95."""


class SourceConfig(Section):
    """The options of a source of images."""

    if TYPE_CHECKING:
        name: str
