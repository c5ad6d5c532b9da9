"""Options of the source `copydays` (`data/sources/copydays.py`)."""

from pathlib import Path
from typing import Literal

from whole_in_parts.config.section import Sha256
from whole_in_parts.config.source import SourceConfig


class CopydaysConfig(SourceConfig):
    """INRIA Copydays: photographs in `original/` and distorted copies in `strong/`."""

    name: Literal["copydays"]
    """Selects Copydays."""
    path: Path
    """The folder, or a tar of it."""
    sha256: Sha256 | None = None
    """Expected sha256 of the images, 64 hexadecimal digits, as `fetch` prints it; not checked if left out."""
