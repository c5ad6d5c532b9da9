"""Options of the source `coco` (`data/sources/coco.py`)."""

from pathlib import Path
from typing import Literal

from whole_in_parts.config.section import Sha256
from whole_in_parts.config.source import SourceConfig


class CocoConfig(SourceConfig):
    """A folder of photographs with objects annotated in COCO's format; the default layout is that of COCO 2017."""

    name: Literal["coco"]
    """Selects COCO."""
    path: Path
    """The folder; the other paths are relative to it."""
    train_images: Path = Path("train2017")
    """Folder of the train images."""
    train_annotations: Path = Path("annotations/instances_train2017.json")
    """JSON file of the train annotations."""
    test_images: Path = Path("val2017")
    """Folder of the test images."""
    test_annotations: Path = Path("annotations/instances_val2017.json")
    """JSON file of the test annotations."""
    sha256: Sha256 | None = None
    """Expected sha256 of the images, 64 hexadecimal digits, as `fetch` prints it; not checked if left out."""
