"""Options of the source `coco` (`data/sources/coco.py`)."""

from pathlib import Path
from typing import Literal

from whole_in_parts.config.section import Sha256
from whole_in_parts.config.source import SourceConfig


class CocoConfig(SourceConfig):
    """A folder of photographs with objects marked in COCO's format; the parts of it are as COCO 2017 has them.

    `sha256` as for `folder`.
    """

    name: Literal["coco"]
    path: Path
    train_images: Path = Path("train2017")
    train_annotations: Path = Path("annotations/instances_train2017.json")
    test_images: Path = Path("val2017")
    test_annotations: Path = Path("annotations/instances_val2017.json")
    sha256: Sha256 | None = None
