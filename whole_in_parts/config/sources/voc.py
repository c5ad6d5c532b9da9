"""Options of the source `voc` (`data/sources/voc.py`)."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from whole_in_parts.config.section import Sha256
from whole_in_parts.config.source import SourceConfig

VocSet = Annotated[str, Field(pattern=r"^\w+/\w+$")]
"""A split of VOC, such as VOC2007/trainval."""


class VocConfig(SourceConfig):
    """PASCAL VOC: a folder VOCdevkit with VOC2007 and VOC2012."""

    name: Literal["voc"]
    """Selects PASCAL VOC."""
    path: Path
    """The folder VOCdevkit."""
    train: Annotated[tuple[VocSet, ...], Field(min_length=1)] = ("VOC2007/trainval", "VOC2012/trainval")
    """The `<year>/<set>` that form the train split."""
    test: Annotated[tuple[VocSet, ...], Field(min_length=1)] = ("VOC2007/test",)
    """The `<year>/<set>` that form the test split."""
    sha256: Sha256 | None = None
    """Expected sha256 of the images, 64 hexadecimal digits, as `fetch` prints it; not checked if left out."""
