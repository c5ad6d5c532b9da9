"""PASCAL VOC (Everingham et al., 2010, doi:10.1007/s11263-009-0275-4): photographs with objects of 20 classes in boxes.

A folder VOCdevkit with VOC2007 and VOC2012 as they come, of which `JPEGImages/`, `Annotations/` and `ImageSets/Main/`
are read. Train is trainval of both years and test is that of 2007 (`methods.md`, E.11). Objects that are marked as
difficult are trained on, and in the evaluation it does not count whether they are found. VOC counts pixels from 1 and
a box holds its last ones, so that its left and top edge are one less than the numbers.
"""

from pathlib import Path
from xml.etree import ElementTree

from whole_in_parts.config.sources.voc import VocConfig
from whole_in_parts.data.source import Dataset
from whole_in_parts.data.sources import _objects
from whole_in_parts.data.sources._objects import Box, Marked, Photograph
from whole_in_parts.failure import Failure
from whole_in_parts.progress import progress

WHERE = "http://host.robots.ox.ac.uk/pascal/VOC/"
CLASSES = [
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
]


def fetch(options: VocConfig, directory: Path) -> None:
    """Pack the images, and write what is marked in them.

    Raises:
        Failure: a part is not there or cannot be read, or what came is not what is expected.
    """
    sets = {"train": options.train, "test": options.test}
    for year, name in (chosen.split("/") for several in sets.values() for chosen in several):
        if not (options.path / year / "ImageSets/Main" / f"{name}.txt").is_file():
            raise Failure(
                f"source.path: {options.path} has no {year}/ImageSets/Main/{name}.txt; get {year} from {WHERE}"
            )
    splits = {
        split: [
            photograph(options.path / year, number)
            for year, name in (chosen.split("/") for chosen in several)
            for number in progress(indices(options.path / year, name), f"{year} {name}", unit="image")
        ]
        for split, several in sets.items()
    }
    _objects.store(options.path, options.sha256, CLASSES, splits, directory)


def read(options: VocConfig, directory: Path) -> Dataset:
    return _objects.read(directory)


def indices(year: Path, name: str) -> list[str]:
    """What the images of a set are called."""
    return (year / "ImageSets/Main" / f"{name}.txt").read_text(encoding="utf-8").split()


def photograph(year: Path, number: str) -> Photograph:
    """An image of a year with its objects.

    Raises:
        Failure: what is marked in it is not there or cannot be read.
    """
    file = year / "Annotations" / f"{number}.xml"
    try:
        root = ElementTree.parse(file).getroot()
        size = int(text(root, "size/height")), int(text(root, "size/width"))
        objects = [marked(each, f"{file}: object {place}") for place, each in enumerate(root.iterfind("object"), 1)]
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise Failure(f"{file}: no annotation that can be read ({error})") from error
    return Photograph(year / "JPEGImages" / f"{number}.jpg", f"{year.name}/{number}.jpg", size, objects)


def marked(element: ElementTree.Element, name: str) -> Marked:
    """An object.

    Raises:
        Failure: its class is unknown.
        ValueError: a part is not there or no number.
    """
    kind = text(element, "name").strip()
    if kind not in CLASSES:
        raise Failure(f"{name}: name {kind} is unknown; allowed: {', '.join(CLASSES)}")
    left, top, right, bottom = (float(text(element, f"bndbox/{edge}")) for edge in ("xmin", "ymin", "xmax", "ymax"))
    box: Box = left - 1, top - 1, right, bottom
    return Marked(name, box, CLASSES.index(kind), difficult=element.findtext("difficult", "0").strip() == "1")


def text(element: ElementTree.Element, path: str) -> str:
    """What an element holds at a path.

    Raises:
        ValueError: it has no such part.
    """
    found = element.findtext(path)
    if found is None:
        raise ValueError(f"it has no {path}")
    return found
