"""Options of the source `voc` (`data/sources/voc.py`)."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from whole_in_parts.config.section import Sha256
from whole_in_parts.config.source import SourceConfig

VocSet = Annotated[str, Field(pattern=r"^\w+/\w+$")]
"""A split of VOC, such as VOC2007/trainval."""


class VocConfig(SourceConfig):
    """A folder VOCdevkit, and which `<year>/<set>` of it are the splits; `sha256` as for `folder`."""

    name: Literal["voc"]
    path: Path
    train: Annotated[tuple[VocSet, ...], Field(min_length=1)] = ("VOC2007/trainval", "VOC2012/trainval")
    test: Annotated[tuple[VocSet, ...], Field(min_length=1)] = ("VOC2007/test",)
    sha256: Sha256 | None = None
