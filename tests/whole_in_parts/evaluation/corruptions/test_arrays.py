"""Images that were corrupted elsewhere and come in arrays, in the order of the original test images."""

import numpy as np
import pytest
import torch

from stages.shard import pack
from tests.whole_in_parts.evaluation.tasks.pictures import picture
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.data.source import Sample, png
from whole_in_parts.evaluation.corruption import SEVERITIES
from whole_in_parts.evaluation.corruptions._arrays import ReleasedArray
from whole_in_parts.evaluation.corruptions._released import ReleasedFolder, open_released
from whole_in_parts.failure import Failure

COUNT = 12
LABELS = np.array([number * 7 % 3 for number in range(COUNT)], np.uint8)


@pytest.fixture
def clean(tmp_path) -> Shards:
    """Test images, packed in a mixed order, with keys in the order of their source, as those of torchvision have it."""
    samples = [Sample(f"{number:08d}", int(LABELS[number]), png(picture(number)), "png") for number in range(COUNT)]
    (tmp_path / "test").mkdir()
    pack(samples, ["cat", "dog", "emu"], tmp_path / "test", 5, "test")
    return Shards(tmp_path / "test")


@pytest.fixture
def folder(tmp_path):
    """Images whose red is their number, whose green is their severity, and whose blue is their corruption."""
    place = tmp_path / "CIFAR-10-C"
    place.mkdir()
    for blue, name in enumerate(["fog", "snow"]):
        images_SNHWC = np.zeros((len(SEVERITIES), COUNT, 6, 8, 3), np.uint8)
        images_SNHWC[..., 0] = np.arange(COUNT)[:, None, None]
        images_SNHWC[..., 1] = np.array(SEVERITIES)[:, None, None, None]
        images_SNHWC[..., 2] = blue
        np.save(place / f"{name}.npy", images_SNHWC.reshape(-1, 6, 8, 3))
    np.save(place / "labels.npy", np.tile(LABELS, len(SEVERITIES)))
    return place


@pytest.mark.parametrize("severity", SEVERITIES)
def test_each_test_image_has_its_corrupted_twin_whatever_order_it_was_packed_in(folder, clean, severity):
    assert clean.keys != sorted(clean.keys)
    found = open_released(folder, "snow", severity, clean)
    assert found.keys == clean.keys
    assert np.array_equal(found.labels, clean.labels)
    images_BCHW = Images(found, 6, 3)[np.arange(COUNT)]
    assert images_BCHW.shape == (COUNT, 3, 6, 6)
    assert images_BCHW[:, 0, 0, 0].tolist() == [int(key) for key in clean.keys]
    assert torch.equal(images_BCHW[:, 1].unique(), torch.tensor([severity], dtype=torch.uint8))
    assert images_BCHW[:, 2].unique().tolist() == [1]


def test_an_array_stays_on_disk(folder, clean):
    assert isinstance(ReleasedArray(folder, "fog", 1, clean).released_NHWC, np.memmap)


def test_a_folder_without_labels_is_one_of_images(folder, clean):
    (folder / "labels.npy").unlink()
    with pytest.raises(Failure, match=r"corrupted: there is no folder .*/fog;.* or <corruption>\.npy and labels"):
        open_released(folder, "fog", 1, clean)
    place = folder / "fog" / "1"
    for name in clean.classes:
        (place / name).mkdir(parents=True)
        (place / name / "0.png").write_bytes(png(picture(0)))
    assert isinstance(open_released(folder, "fog", 1, clean), ReleasedFolder)


def test_labels_of_another_order_are_refused_by_the_file_and_the_first_that_differs(folder, clean):
    labels = np.tile(LABELS, len(SEVERITIES))
    labels[COUNT + 4] = (labels[COUNT + 4] + 1) % 3
    np.save(folder / "labels.npy", labels)
    ReleasedArray(folder, "fog", 1, clean)
    with pytest.raises(
        Failure, match=rf"labels\.npy: image 4 has label {labels[COUNT + 4]}, and in the .* {LABELS[4]};"
    ):
        ReleasedArray(folder, "fog", 2, clean)


def test_a_dataset_whose_keys_are_in_the_order_of_classes_is_refused(folder, tmp_path):
    samples = [
        Sample(f"test/{LABELS[number]}/{number}", int(LABELS[number]), png(picture(number)), "png")
        for number in range(COUNT)
    ]
    (tmp_path / "by_class").mkdir()
    pack(samples, ["cat", "dog", "emu"], tmp_path / "by_class", 5, "test")
    with pytest.raises(Failure, match=r"labels\.npy: image 1 has label .* as a dataset of source torchvision has it"):
        ReleasedArray(folder, "fog", 1, Shards(tmp_path / "by_class"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("fog", None, r"corrupted: .*/fog\.npy cannot be read"),
        ("fog", b"no array", r"corrupted: .*/fog\.npy cannot be read"),
        ("fog", b"", r"corrupted: .*/fog\.npy cannot be read"),
        (
            "fog",
            np.zeros((COUNT, 6, 8, 3), np.uint8),
            r"fog\.npy: needed are 60 rows, five for each test image; it has",
        ),
        ("fog", np.zeros((60, 6, 8)), r"fog\.npy: float64 of \(60, 6, 8\); needed is uint8 of N, H, W, 3"),
        ("labels", np.zeros(59, np.uint8), r"labels\.npy: needed are 60 rows"),
    ],
    ids=str,
)
def test_an_array_that_is_missing_broken_or_of_something_else_is_named(folder, clean, name, content, message):
    file = folder / f"{name}.npy"
    file.unlink()
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        np.save(file, content)
    with pytest.raises(Failure, match=message):
        open_released(folder, "fog", 1, clean)
