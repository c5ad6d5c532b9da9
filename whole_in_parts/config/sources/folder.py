"""Options of the source `folder` (`data/sources/folder.py`)."""

from pathlib import Path
from typing import Literal

from whole_in_parts.config.section import Sha256
from whole_in_parts.config.source import Resize, SourceConfig


class FolderConfig(SourceConfig):
    """A folder `<split>/<class>/<image>`, or a tar of one, compressed or not.

    `sha256`, which `fetch` prints, pins the images; change it when they change. `resize` is for the shards: what is
    fetched stays as it came.
    """

    name: Literal["folder"]
    path: Path
    sha256: Sha256 | None = None
    resize: Resize | None = None
