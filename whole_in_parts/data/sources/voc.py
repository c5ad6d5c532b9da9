"""PASCAL VOC (Everingham et al., 2010, doi:10.1007/s11263-009-0275-4): photographs with objects of 20 classes in boxes.

The source is an unmodified folder VOCdevkit with VOC2007 and VOC2012, of which `JPEGImages/`, `Annotations/` and
`ImageSets/Main/` are read. Train is trainval of both years and test is that of 2007 (`docs/methods.md`, E.11). Objects
marked as difficult are used in training and ignored in the evaluation. VOC counts pixels from 1 and a box
includes its last pixels, so the left and top edges are the published numbers less one.
"""

from pathlib import Path
from xml.etree import ElementTree

from whole_in_parts.config.sources.voc import VocConfig
from whole_in_parts.data.source import Dataset
from whole_in_parts.data.sources import _objects
from whole_in_parts.data.sources._objects import AnnotatedObject, Box, Photograph
from whole_in_parts.failure import Failure
from whole_in_parts.progress import progress

WHERE = "http://host.robots.ox.ac.uk/pascal/VOC/"
CLASSES = [
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
]


def fetch(options: VocConfig, directory: Path) -> None:
    """Pack the images and write their annotations.

    Raises:
        Failure: a file is missing or cannot be read, or the checksum differs.
    """
    sets = {"train": options.train, "test": options.test}
    for year, name in (path.split("/") for paths in sets.values() for path in paths):
        if not (options.path / year / "ImageSets/Main" / f"{name}.txt").is_file():
            raise Failure(
                f"source.path: {options.path} has no {year}/ImageSets/Main/{name}.txt; get {year} from {WHERE}"
            )

    splits = {
        split: [
            photograph(options.path / year, image_id)
            for year, name in (path.split("/") for path in paths)
            for image_id in progress(image_ids(options.path / year, name), f"{year} {name}", unit="image")
        ]
        for split, paths in sets.items()
    }
    _objects.store(options.path, options.sha256, CLASSES, splits, directory)


def read(options: VocConfig, directory: Path) -> Dataset:
    """Read both splits."""
    return _objects.read(directory)


def image_ids(year: Path, name: str) -> list[str]:
    """Return the ids of the images of a set, which are their file names without extension."""
    return (year / "ImageSets/Main" / f"{name}.txt").read_text(encoding="utf-8").split()


def photograph(year: Path, image_id: str) -> Photograph:
    """Read an image's objects.

    Raises:
        Failure: the annotation file is missing or cannot be read.
    """
    file = year / "Annotations" / f"{image_id}.xml"
    try:
        root = ElementTree.parse(file).getroot()
        size = int(text(root, "size/height")), int(text(root, "size/width"))
        elements = enumerate(root.iterfind("object"), 1)
        objects = [annotated_object(element, f"{file}: object {position}") for position, element in elements]
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise Failure(f"{file}: no annotation that can be read ({error})") from error
    return Photograph(year / "JPEGImages" / f"{image_id}.jpg", f"{year.name}/{image_id}.jpg", size, objects)


def annotated_object(element: ElementTree.Element, name: str) -> AnnotatedObject:
    """Parse an object.

    Raises:
        Failure: the class is unknown.
        ValueError: an element is missing or not a number.
    """
    label = text(element, "name").strip()
    if label not in CLASSES:
        raise Failure(f"{name}: name {label} is unknown; allowed: {', '.join(CLASSES)}")
    left, top, right, bottom = (float(text(element, f"bndbox/{edge}")) for edge in ("xmin", "ymin", "xmax", "ymax"))
    box: Box = left - 1, top - 1, right, bottom
    difficult = element.findtext("difficult", "0").strip() == "1"
    return AnnotatedObject(name, box, CLASSES.index(label), difficult=difficult)


def text(element: ElementTree.Element, path: str) -> str:
    """Return the text at a path below an element.

    Raises:
        ValueError: there is no such element.
    """
    content = element.findtext(path)
    if content is None:
        raise ValueError(f"it has no {path}")
    return content
