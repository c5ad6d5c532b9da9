"""Options of the source `folder` (`data/sources/folder.py`)."""

from pathlib import Path
from typing import Literal

from whole_in_parts.config.section import Sha256
from whole_in_parts.config.source import Resize, SourceConfig


class FolderConfig(SourceConfig):
    """A folder `<split>/<class>/<image>` or `<class>/<image>`, or a tar of it, compressed or not."""

    name: Literal["folder"]
    """Selects a folder of images."""
    path: Path
    """The folder or tar."""
    sha256: Sha256 | None = None
    """Expected sha256 of the images, 64 hexadecimal digits, as `fetch` prints it; not checked if left out."""
    resize: Resize | None = None
    """Shrink large images when they are packed; the fetched files stay unchanged."""
