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
    val_labels: Path | None = None
    """File, relative to the folder, with the class of each image of a `val` folder without class folders: the image and
    the class begin a line, as in `val_annotations.txt` of Tiny-ImageNet and `LOC_val_solution.csv` of ILSVRC."""
    test: Literal["test", "val"] | None = None
    """The folder that is the test split, of a set that has both `test` and `val`; the other one is left out."""
    leave: bool = False
    """Leave the images in the folder: only their list is fetched, and the packing checks each by its sha256."""
    sha256: Sha256 | None = None
    """Expected sha256 of the images, 64 hexadecimal digits, as `fetch` prints it; not checked if left out."""
    resize: Resize | None = None
    """Shrink large images when they are packed; the fetched files stay unchanged."""
