"""What the options of all sources of images have in common."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from whole_in_parts.config.section import Count, Section


class Resize(Section):
    """Make images smaller whose shorter side has more than `short_side` pixels, as JPEGs of a quality."""

    short_side: Count
    quality: Annotated[int, Field(ge=1, le=95)] = 90


class SourceConfig(Section):
    """The options of a source of images."""

    if TYPE_CHECKING:
        name: str
