"""Small sets in COCO's format; `tasks/test_detection.py` takes one through every stage."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from faster_coco_eval import mask

from stages.shard import pack
from tests.whole_in_parts.data.test_conversion import bomb
from tests.whole_in_parts.evaluation.detection import shapes
from whole_in_parts.config.sources.coco import CocoConfig
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.data.source import Dataset
from whole_in_parts.data.sources import coco
from whole_in_parts.failure import Failure

TRAIN = "annotations/instances_train2017.json"


@pytest.fixture
def place(tmp_path) -> Path:
    return shapes.coco(tmp_path / "coco", 6, 4)


def read(place: Path, **options) -> Dataset:
    directory = place.parent / "fetched"
    directory.mkdir(exist_ok=True)
    chosen = CocoConfig(name="coco", path=place, **options)
    coco.fetch(chosen, directory)
    return coco.read(chosen, directory)


def change(place: Path, part: str, number: int, file: str = TRAIN, **values) -> None:
    """Change an entry of a file of annotations, or take out what is given as Ellipsis."""
    content = json.loads((place / file).read_text())
    entry = content[part][number] | values
    content[part][number] = {name: value for name, value in entry.items() if value is not ...}
    (place / file).write_text(json.dumps(content))


def test_each_image_comes_as_it_is_with_the_boxes_labels_and_masks_of_its_shapes(place):
    found = read(place)
    assert found.classes == shapes.CLASSES
    assert {split: len(samples) for split, samples in found.splits.items()} == {"train": 6, "test": 4}
    for number, sample in enumerate(found.splits["train"]):
        image, objects = shapes.world(number)
        assert (sample.key, sample.label) == (f"{number:012d}", 0)
        assert sample.image == (place / "train2017" / f"{number:012d}.png").read_bytes()
        annotation = sample.annotation
        assert annotation["labels"] == [kind for kind, _ in objects]
        assert annotation["crowd"] == annotation["difficult"] == [False] * len(objects)
        corners = [[*corners.min(0), *corners.max(0)] for _, corners in objects]
        np.testing.assert_allclose(annotation["boxes"], corners, atol=1e-9)
        masks = mask.decode([{"size": annotation["size"], "counts": runs} for runs in annotation["masks"]])
        changed = np.asarray(image).std(2) > 25  # the ground is grey, more or less, and shapes are not
        assert (masks.any(2) == changed).mean() > 0.9


def test_shards_keep_what_is_marked_by_the_keys_of_images(place, tmp_path):
    found = read(place)
    (tmp_path / "train").mkdir()
    pack(found.splits["train"], found.classes, tmp_path / "train", 4, "train")
    kept = Shards(tmp_path / "train")
    assert kept.classes == shapes.CLASSES
    assert kept.annotations == {
        sample.key: json.loads(json.dumps(sample.annotation)) for sample in found.splits["train"]
    }
    assert Images(kept, 96, 3).original(0).shape == (3, 96, 96)


def test_an_index_keeps_annotations_that_are_as_large_as_those_of_all_of_coco_would_be(place, tmp_path):
    found = read(place)
    (tmp_path / "train").mkdir()
    large = found.splits["train"][0]._replace(annotation={"masks": "x" * (80 << 20)})
    pack([large], found.classes, tmp_path / "train", 4, "train")
    assert len(Shards(tmp_path / "train").annotations[large.key]["masks"]) == 80 << 20


def test_the_same_set_makes_the_same_bytes_which_a_sha256_pins(place, capsys):
    read(place)
    printed = capsys.readouterr().out
    digest = re.search(r"[0-9a-f]{64}", printed)[0]
    read(place, sha256=digest)
    with pytest.raises(Failure, match=f"its sha256 is {digest}, and params.yaml expects {'0' * 64}"):
        read(place, sha256="0" * 64)


def test_the_parts_of_a_set_may_be_called_otherwise(place):
    (place / "val2017").rename(place / "held_out")
    (place / "annotations/instances_val2017.json").rename(place / "test.json")
    assert len(read(place, test_images="held_out", test_annotations="test.json").splits["test"]) == 4


def test_crowds_are_kept_as_crowds_with_runs_of_either_kind(place):
    runs = {"size": [96, 96], "counts": [96 * 10, 96 * 20, 96 * 66]}
    change(place, "annotations", 0, iscrowd=1, segmentation=runs)
    first = read(place).splits["train"][0].annotation
    assert first["crowd"][0]
    assert mask.area({"size": [96, 96], "counts": first["masks"][0]}) == 96 * 20
    change(place, "annotations", 0, segmentation={"size": [96, 96], "counts": first["masks"][0]})
    assert read(place).splits["train"][0].annotation == first


@pytest.mark.parametrize("nothing", [..., [], [[1.0, 2.0, 3.0, 4.0]]])
def test_an_object_without_a_polygon_has_no_mask(place, nothing):
    change(place, "annotations", 0, segmentation=nothing)
    assert read(place).splits["train"][0].annotation["masks"][0] is None


def test_a_box_is_cut_to_its_image_and_what_has_no_area_then_is_left_out_and_counted(place, capsys):
    whole = len(read(place).splits["train"][0].annotation["boxes"])
    change(place, "annotations", 0, bbox=[-5, 90, 30, 30])
    assert read(place).splits["train"][0].annotation["boxes"][0] == [0, 90, 25, 96]
    for outside in ([97, 5, 10, 10], [5, 5, 0, 10], [5, 5, 10, -1]):
        change(place, "annotations", 0, bbox=outside)
        assert len(read(place).splits["train"][0].annotation["boxes"]) == whole - 1
        assert re.search(r"train: 1 objects without area .* such as .*: annotation 1\n", capsys.readouterr().out)


def test_an_image_in_which_nothing_is_marked_is_a_sample_without_objects(place):
    content = json.loads((place / TRAIN).read_text())
    content["annotations"] = [each for each in content["annotations"] if each["image_id"] != 1]
    (place / TRAIN).write_text(json.dumps(content))
    assert read(place).splits["train"][0].annotation["boxes"] == []


WRONG = {
    "an unknown category": (
        lambda place: change(place, "annotations", 0, category_id=9),
        r"annotation 1: category_id 9 is unknown; allowed: 1, 2, 3",
    ),
    "an unknown image": (
        lambda place: change(place, "annotations", 0, image_id=99),
        r"annotation 1: image_id 99 is unknown; the file lists 6 images",
    ),
    "other categories in the test": (
        lambda place: change(place, "categories", 2, "annotations/instances_val2017.json", name="cone"),
        r"instances_val2017.json: its categories are not those of train: \(3, 'cone'\)",
    ),
    "one name for two categories": (
        lambda place: change(place, "categories", 2, name="disc"),
        r"two entries of categories have one name",
    ),
    "one id for two images": (lambda place: change(place, "images", 1, id=1), r"two entries of images have one id"),
    "an image that is missing": (
        lambda place: (place / "train2017/000000000002.png").unlink(),
        r"train2017/000000000002.png: no such file; 1 of 6 images are missing",
    ),
    "an image that is none": (
        lambda place: (place / "train2017/000000000002.png").write_bytes(b"nothing"),
        r"000000000002.png: not an image that can be read",
    ),
    "an image of too many pixels": (
        lambda place: (place / "train2017/000000000002.png").write_bytes(bomb()),
        r"000000000002.png: not an image that can be read \(Image size \(2500000000 pixels\) exceeds",
    ),
    "an image that is a pipe": (
        lambda place: (
            (place / "train2017/000000000002.png").unlink(),
            os.mkfifo(place / "train2017/000000000002.png"),
        ),
        r"000000000002.png: no such file; 1 of 6 images are missing",
    ),
    "an image of another size": (
        lambda place: change(place, "images", 0, width=95),
        r"000000000000.png: 96×96 pixels, where the annotations say 95×96",
    ),
    "an image of another kind": (
        lambda place: (
            (place / "train2017/a.gif").write_bytes(b"GIF"),
            change(place, "images", 0, file_name="a.gif"),
        ),
        r"a.gif: not one of .jpg, .jpeg, .png",
    ),
    "a name in two images": (
        lambda place: change(place, "images", 0, file_name="000000000001.png"),
        r"000000000001.png: 2 images are called so",
    ),
    "a mask of another size": (
        lambda place: change(place, "annotations", 0, segmentation={"size": [9, 9], "counts": [81]}),
        r"annotation 1: not a mask of an image of 96×96 pixels: its size is \(9, 9\)",
    ),
    "runs that are none": (
        lambda place: change(place, "annotations", 0, segmentation={"size": [96, 96], "counts": "zz###"}),
        r"annotation 1: not a mask of an image of 96×96 pixels: RLE string is malformed",
    ),
    "a box that is none": (
        lambda place: change(place, "annotations", 0, bbox=[1, 2, 3]),
        r"not annotations in COCO's format: annotations.0.bbox.3: Field required",
    ),
    "no annotation": (
        lambda place: (place / TRAIN).write_text(
            json.dumps(json.loads((place / TRAIN).read_text()) | {"annotations": []})
        ),
        r"instances_train2017.json: not annotations in COCO's format: annotations: .* at least 1 item",
    ),
    "an empty file": (
        lambda place: (place / TRAIN).write_text(""),
        r"instances_train2017.json: not annotations in COCO's format: the file: Invalid JSON",
    ),
    "a folder that is missing": (
        lambda place: (place / "val2017").rename(place / "other"),
        r"source.path: .* has no val2017; COCO's are at https://cocodataset.org",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(place, name):
    harm, message = WRONG[name]
    harm(place)
    with pytest.raises(Failure, match=message):
        read(place)


def test_a_split_in_which_no_box_has_an_area_is_refused(place):
    content = json.loads((place / TRAIN).read_text())
    content["annotations"] = [each | {"bbox": [0, 0, 0, 0]} for each in content["annotations"]]
    (place / TRAIN).write_text(json.dumps(content))
    with pytest.raises(Failure, match="train: no object is in any of 6 images"):
        read(place)


def test_a_path_that_is_not_there_is_named_with_where_to_get_the_set(tmp_path):
    with pytest.raises(Failure, match=r"source.path: .*/nowhere has no annotations/.* at https://cocodataset.org"):
        read(tmp_path / "nowhere")
