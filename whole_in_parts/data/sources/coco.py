"""COCO (Lin et al., 2014, arXiv:1405.0312), or any set in its format: photographs with boxes and masks of objects.

The default layout of the folder is that of COCO 2017: the images `train2017/<image>` and `val2017/<image>`, and the
annotations `annotations/instances_train2017.json` and `annotations/instances_val2017.json`; val is the test split. The
classes are the categories, ordered by id. All images that the annotation files list are read, also those without
objects.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, FiniteFloat, ValidationError

from whole_in_parts.config.sources.coco import CocoConfig
from whole_in_parts.data.source import Dataset
from whole_in_parts.data.sources import _objects
from whole_in_parts.data.sources._objects import AnnotatedObject, Box, Photograph
from whole_in_parts.failure import Failure

WHERE = "https://cocodataset.org/#download"


class Picture(BaseModel):
    """An image file and its size in pixels."""

    id: int
    file_name: str
    height: int
    width: int


class Category(BaseModel):
    """A class of objects."""

    id: int
    name: str


class Runs(BaseModel):
    """A run-length encoded mask, compressed or not, of an image of `size` (height, width)."""

    counts: str | list[int]
    size: tuple[int, int]


class Instance(BaseModel):
    """An object; `bbox` is left, top, width and height in pixels."""

    id: int
    image_id: int
    category_id: int
    bbox: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]
    iscrowd: Literal[0, 1] = 0
    segmentation: list[list[FiniteFloat]] | Runs | None = None

    @property
    def box(self) -> Box:
        """Left, top, right and bottom edge in pixels."""
        left, top, width, height = self.bbox
        return left, top, left + width, top + height


class Instances(BaseModel):
    """An annotation file; other keys, such as licences, are ignored."""

    images: list[Picture] = Field(min_length=1)
    categories: list[Category] = Field(min_length=1)
    annotations: list[Instance] = Field(min_length=1)


def fetch(options: CocoConfig, directory: Path) -> None:
    """Pack the images and write their annotations.

    Raises:
        Failure: a file is missing or has another format, or the checksum differs.
    """
    required = [options.train_annotations, options.test_annotations, options.train_images, options.test_images]
    if missing := [str(part) for part in required if not (options.path / part).exists()]:
        raise Failure(f"source.path: {options.path} has no {', no '.join(missing)}; COCO's are at {WHERE}")

    train, test = (instances(options.path / file) for file in (options.train_annotations, options.test_annotations))
    if names(train) != names(test):
        difference = sorted(names(train).items() ^ names(test).items())[0]
        raise Failure(f"{options.path / options.test_annotations}: its categories are not those of train: {difference}")

    splits = {
        split: photographs(content, options.path / images, options.path / annotations)
        for split, content, images, annotations in (
            ("train", train, options.train_images, options.train_annotations),
            ("test", test, options.test_images, options.test_annotations),
        )
    }
    _objects.store(options.path, options.sha256, list(names(train).values()), splits, directory)


def read(options: CocoConfig, directory: Path) -> Dataset:
    """Read both splits."""
    return _objects.read(directory)


def instances(file: Path) -> Instances:
    """Read and validate an annotation file.

    Raises:
        Failure: the file has another format, or two entries share an id or a name.
    """
    try:
        content = Instances.model_validate_json(file.read_bytes())
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"])) or "the file"
        raise Failure(f"{file}: not annotations in COCO's format: {where}: {problem['msg']}") from error

    for part, entries in (("images", content.images), ("categories", content.categories)):
        if len({entry.id for entry in entries}) < len(entries):
            raise Failure(f"{file}: two entries of {part} have one id")
    if len(set(names(content).values())) < len(content.categories):
        raise Failure(f"{file}: two entries of categories have one name")
    return content


def names(content: Instances) -> dict[int, str]:
    """Return the names of the categories by id, ordered by id."""
    return {category.id: category.name for category in sorted(content.categories, key=lambda category: category.id)}


def photographs(content: Instances, images: Path, file: Path) -> list[Photograph]:
    """Return the images, ordered by name, with their objects.

    Raises:
        Failure: an object refers to a category or an image that the file does not list.
    """
    labels = {category_id: label for label, category_id in enumerate(names(content))}
    objects: dict[int, list[AnnotatedObject]] = {picture.id: [] for picture in content.images}
    for instance in content.annotations:
        name = f"{file}: annotation {instance.id}"
        if instance.category_id not in labels:
            allowed = ", ".join(map(str, labels))
            raise Failure(f"{name}: category_id {instance.category_id} is unknown; allowed: {allowed}")
        if instance.image_id not in objects:
            raise Failure(f"{name}: image_id {instance.image_id} is unknown; the file lists {len(objects)} images")

        segmentation = instance.segmentation
        outline = segmentation.model_dump() if isinstance(segmentation, Runs) else segmentation
        label = labels[instance.category_id]
        annotated = AnnotatedObject(name, instance.box, label, crowd=bool(instance.iscrowd), outline=outline)
        objects[instance.image_id].append(annotated)
    return [
        Photograph(images / picture.file_name, picture.file_name, (picture.height, picture.width), objects[picture.id])
        for picture in sorted(content.images, key=lambda picture: picture.file_name)
    ]
