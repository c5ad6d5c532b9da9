"""COCO (Lin et al., 2014, arXiv:1405.0312), or any set in its format: photographs with objects, their boxes and masks.

A folder, by default as COCO 2017 has it: `train2017/<image>`, `val2017/<image>`, and what is marked in them,
`annotations/instances_train2017.json` and `annotations/instances_val2017.json`; val is the test split. The classes are
the categories in the order of their ids. The images are those that the annotations list, also where nothing is marked.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, FiniteFloat, ValidationError

from whole_in_parts.config.sources.coco import CocoConfig
from whole_in_parts.data.source import Dataset
from whole_in_parts.data.sources import _objects
from whole_in_parts.data.sources._objects import Box, Marked, Photograph
from whole_in_parts.failure import Failure

WHERE = "https://cocodataset.org/#download"


class Picture(BaseModel):
    """An image file, and its size in pixels."""

    id: int
    file_name: str
    height: int
    width: int


class Category(BaseModel):
    """A class of objects."""

    id: int
    name: str


class Runs(BaseModel):
    """A mask as runs of pixels, compressed or not, for an image of a size (height, width)."""

    counts: str | list[int]
    size: tuple[int, int]


class Instance(BaseModel):
    """An object; its box is left, top, width and height."""

    id: int
    image_id: int
    category_id: int
    bbox: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]
    iscrowd: Literal[0, 1] = 0
    segmentation: list[list[FiniteFloat]] | Runs | None = None

    @property
    def box(self) -> Box:
        left, top, width, height = self.bbox
        return left, top, left + width, top + height


class Instances(BaseModel):
    """A file of annotations; whatever else there is, such as licences, is left out."""

    images: list[Picture] = Field(min_length=1)
    categories: list[Category] = Field(min_length=1)
    annotations: list[Instance] = Field(min_length=1)


def fetch(options: CocoConfig, directory: Path) -> None:
    """Pack the images, and write what is marked in them.

    Raises:
        Failure: a part is not there or not of the format, or what came is not what is expected.
    """
    wanted = [options.train_annotations, options.test_annotations, options.train_images, options.test_images]
    if absent := [str(part) for part in wanted if not (options.path / part).exists()]:
        raise Failure(f"source.path: {options.path} has no {', no '.join(absent)}; COCO's are at {WHERE}")
    train, test = (instances(options.path / file) for file in (options.train_annotations, options.test_annotations))
    if names(train) != names(test):
        apart = sorted(names(train).items() ^ names(test).items())[0]
        raise Failure(f"{options.path / options.test_annotations}: its categories are not those of train: {apart}")
    splits = {
        split: photographs(content, options.path / images, options.path / annotations)
        for split, content, images, annotations in (
            ("train", train, options.train_images, options.train_annotations),
            ("test", test, options.test_images, options.test_annotations),
        )
    }
    _objects.store(options.path, options.sha256, list(names(train).values()), splits, directory)


def read(options: CocoConfig, directory: Path) -> Dataset:
    return _objects.read(directory)


def instances(file: Path) -> Instances:
    """Read a file of annotations.

    Raises:
        Failure: it is something else, or two entries have one id.
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
    """The name of each category by its id, in the order of ids."""
    return {category.id: category.name for category in sorted(content.categories, key=lambda each: each.id)}


def photographs(content: Instances, images: Path, file: Path) -> list[Photograph]:
    """The images in the order of their names, each with its objects.

    Raises:
        Failure: an object is of a category or in an image that the file does not list.
    """
    labels = {number: label for label, number in enumerate(names(content))}
    objects: dict[int, list[Marked]] = {picture.id: [] for picture in content.images}
    for each in content.annotations:
        name = f"{file}: annotation {each.id}"
        if each.category_id not in labels:
            raise Failure(f"{name}: category_id {each.category_id} is unknown; allowed: {', '.join(map(str, labels))}")
        if each.image_id not in objects:
            raise Failure(f"{name}: image_id {each.image_id} is unknown; the file lists {len(objects)} images")
        outline = each.segmentation.model_dump() if isinstance(each.segmentation, Runs) else each.segmentation
        marked = Marked(name, each.box, labels[each.category_id], crowd=bool(each.iscrowd), outline=outline)
        objects[each.image_id].append(marked)
    return [
        Photograph(images / picture.file_name, picture.file_name, (picture.height, picture.width), objects[picture.id])
        for picture in sorted(content.images, key=lambda each: each.file_name)
    ]
