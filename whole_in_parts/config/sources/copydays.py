"""Options of the source `copydays` (`data/sources/copydays.py`)."""

from pathlib import Path
from typing import Literal

from whole_in_parts.config.section import Sha256
from whole_in_parts.config.source import SourceConfig


class CopydaysConfig(SourceConfig):
    """A folder of photographs, `original/`, and of copies, `strong/`, or a tar of one; `sha256` as for `folder`."""

    name: Literal["copydays"]
    path: Path
    sha256: Sha256 | None = None
