"""Options of the source `revisited` (`data/sources/revisited.py`)."""

from pathlib import Path
from typing import Literal

from whole_in_parts.config.section import Sha256
from whole_in_parts.config.source import SourceConfig


class RevisitedConfig(SourceConfig):
    """A folder of photographs, `jpg/`, with what each query is to find, `gnd_*.pkl`; `sha256` as for `folder`."""

    name: Literal["revisited"]
    path: Path
    sha256: Sha256 | None = None
