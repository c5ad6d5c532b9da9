import numpy as np
import pytest
import torch
from PIL import Image

from whole_in_parts.data.shards import Images
from whole_in_parts.evaluation.corruptions._released import ReleasedFolder
from whole_in_parts.failure import Failure

CLASSES = ["dog", "cat"]


@pytest.fixture
def folder(tmp_path):
    """Two images of a class, whose every pixel is the class's and the image's number."""
    for label, name in enumerate(CLASSES):
        place = tmp_path / "fog" / "2" / name
        place.mkdir(parents=True)
        for number in range(2):
            Image.new("L", (8, 8), 10 * label + number).save(place / f"{number}.png")
    (tmp_path / "fog" / "2" / "cat" / "notes.txt").touch()
    return tmp_path


def test_images_come_in_the_order_of_classes_and_names_with_the_labels_of_the_dataset(folder):
    found = ReleasedFolder(folder, "fog", 2, CLASSES)
    assert found.keys == ["cat/0", "cat/1", "dog/0", "dog/1"]
    assert found.labels.tolist() == [1, 1, 0, 0]
    assert len(found) == 4
    images_BCHW = Images(found, 8, 1)[np.arange(4)]
    assert torch.equal(images_BCHW[:, 0, 0, 0], torch.tensor([10, 11, 0, 1], dtype=torch.uint8))


@pytest.mark.parametrize(
    ("folder_name", "corruption", "severity", "missing"),
    [("nowhere", "fog", 2, "nowhere"), ("", "snow", 2, "snow"), ("", "fog", 3, "fog/3")],
)
def test_what_is_missing_is_named(folder, folder_name, corruption, severity, missing):
    with pytest.raises(Failure, match=rf"corrupted: there is no folder \S*/{missing};"):
        ReleasedFolder(folder / folder_name, corruption, severity, CLASSES)


def test_classes_that_are_not_the_dataset_s_are_named_both_ways_and_not_all_of_many(folder):
    with pytest.raises(Failure, match=r"fog/2: its classes are not the dataset's: it lacks emu and it also has dog$"):
        ReleasedFolder(folder, "fog", 2, ["cat", "emu"])
    with pytest.raises(Failure, match=r"it lacks a, b, c, d, e and 2 others$"):
        ReleasedFolder(folder, "fog", 2, [*CLASSES, *"abcdefg"])


def test_a_class_without_images_is_named(folder):
    for file in (folder / "fog/2/cat").glob("*.png"):
        file.unlink()
    with pytest.raises(Failure, match="fog/2/cat: no image"):
        ReleasedFolder(folder, "fog", 2, CLASSES)


def test_an_image_that_cannot_be_decoded_is_named(folder):
    (folder / "fog/2/dog/1.png").write_bytes(b"not a picture")
    with pytest.raises(Failure, match=r"fog/2/dog/1\.png: cannot be decoded"):
        Images(ReleasedFolder(folder, "fog", 2, CLASSES), 8, 1)[np.array([3])]
