"""Options of the source `revisited` (`data/sources/revisited.py`)."""

from pathlib import Path
from typing import Literal

from whole_in_parts.config.section import Sha256
from whole_in_parts.config.source import SourceConfig


class RevisitedConfig(SourceConfig):
    """Revisited Oxford or Paris: photographs in `jpg/` and the ground truth `gnd_*.pkl`."""

    name: Literal["revisited"]
    """Selects Revisited Oxford or Paris."""
    path: Path
    """The folder."""
    sha256: Sha256 | None = None
    """Expected sha256 of the images, 64 hexadecimal digits, as `fetch` prints it; not checked if left out."""
