"""Small sets in VOC's format; `tasks/test_detection.py` takes one through every stage."""

from pathlib import Path

import numpy as np
import pytest

from tests.whole_in_parts.evaluation.detection import shapes
from whole_in_parts.config.sources.voc import VocConfig
from whole_in_parts.data.source import Dataset
from whole_in_parts.data.sources import voc
from whole_in_parts.failure import Failure

SETS = {"VOC2007/trainval": range(3), "VOC2012/trainval": range(10, 14), "VOC2007/test": range(20, 22)}
FIRST = "VOC2007/Annotations/000000.xml"


@pytest.fixture
def place(tmp_path) -> Path:
    return shapes.voc(tmp_path / "VOCdevkit", SETS)


def read(place: Path, **options) -> Dataset:
    directory = place.parent / "fetched"
    directory.mkdir(exist_ok=True)
    chosen = VocConfig(name="voc", path=place, **options)
    voc.fetch(chosen, directory)
    return voc.read(chosen, directory)


def test_train_is_trainval_of_both_years_and_test_that_of_2007(place):
    found = read(place)
    keys = {split: [sample.key for sample in samples] for split, samples in found.splits.items()}
    assert keys == {
        "train": [f"VOC2007/{number:06d}" for number in range(3)]
        + [f"VOC2012/{number:06d}" for number in range(10, 14)],
        "test": ["VOC2007/000020", "VOC2007/000021"],
    }
    assert len(found.classes) == 20
    assert found.classes == sorted(found.classes)


def test_a_box_counts_pixels_from_nothing_and_the_names_of_parts_are_no_objects(place):
    for number, sample in zip([*range(3), *range(10, 14)], read(place).splits["train"], strict=True):
        objects = shapes.world(number)[1]
        boxes = [[*corners.min(0).round(), *corners.max(0).round()] for _, corners in objects]
        np.testing.assert_allclose(sample.annotation["boxes"], boxes, atol=1)
        assert [voc.CLASSES[label] for label in sample.annotation["labels"]] == [
            shapes.VOC_CLASSES[kind] for kind, _ in objects
        ]
        assert sample.annotation["masks"] == [None] * len(objects)
    (place / FIRST).write_text(
        "<annotation><size><width>96</width><height>96</height></size><object><name>cow</name><bndbox><xmin>1</xmin>"
        "<ymin>2</ymin><xmax>96</xmax><ymax>12</ymax></bndbox></object></annotation>"
    )
    assert read(place).splits["train"][0].annotation["boxes"] == [[0, 1, 96, 12]]


def test_difficult_objects_are_marked_as_such_and_are_no_crowds(place):
    (place / FIRST).write_text(shapes.described(shapes.world(0)[1], difficult=1))
    first, second, *_ = (sample.annotation for sample in read(place).splits["train"])
    assert all(first["difficult"])
    assert not any([*first["crowd"], *second["difficult"]])


def test_other_sets_may_be_the_splits(place):
    found = read(place, train=["VOC2012/trainval"], test=["VOC2007/trainval", "VOC2007/test"])
    assert {split: len(samples) for split, samples in found.splits.items()} == {"train": 4, "test": 5}


WRONG = {
    "an unknown class": (
        lambda place: (place / FIRST).write_text((place / FIRST).read_text().replace("<name>c", "<name>x")),
        r"000000.xml: object 1: name x.* is unknown; allowed: aeroplane, .*, tvmonitor",
    ),
    "no annotation": (lambda place: (place / FIRST).unlink(), r"000000.xml: no annotation that can be read"),
    "an annotation that is none": (
        lambda place: (place / FIRST).write_text("<annotation>"),
        r"000000.xml: no annotation that can be read",
    ),
    "an object without a box": (
        lambda place: (place / FIRST).write_text((place / FIRST).read_text().replace("xmin", "side")),
        r"000000.xml: no annotation that can be read \(it has no bndbox/xmin\)",
    ),
    "an image that is missing": (
        lambda place: (place / "VOC2012/JPEGImages/000012.jpg").unlink(),
        r"VOC2012/JPEGImages/000012.jpg: no such file; 1 of 7 images are missing",
    ),
    "a set that is missing": (
        lambda place: (place / "VOC2007/ImageSets/Main/test.txt").unlink(),
        r"source.path: .* has no VOC2007/ImageSets/Main/test.txt; get VOC2007 from http://host.robots.ox.ac.uk",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(place, name):
    harm, message = WRONG[name]
    (place / FIRST).write_text(shapes.described([(1, shapes.CORNERS[1] * 30)]))
    harm(place)
    with pytest.raises(Failure, match=message):
        read(place)
