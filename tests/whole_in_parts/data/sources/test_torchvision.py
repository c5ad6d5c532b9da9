import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torchvision
from PIL import Image

from whole_in_parts.config.sources.torchvision import TorchvisionConfig
from whole_in_parts.data.sources import torchvision as source
from whole_in_parts.failure import Failure

LENGTH = {"train": 6, "test": 4}


def pixels(split: str, number: int) -> np.ndarray:
    return np.random.default_rng([LENGTH[split], number]).integers(0, 256, (5, 7, 3), np.uint8)


class Downloaded:
    """What the classes of torchvision have in common: no data unless it was downloaded to the folder before."""

    def get(self, root: str, split: str, download: bool) -> None:
        if download:
            Path(root, split).touch()
        elif not Path(root, split).exists():
            raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")
        self.split = split

    def __len__(self) -> int:
        return LENGTH[self.split]

    def __getitem__(self, number: int):
        return Image.fromarray(pixels(self.split, number)), number % 3


class ByTrain(Downloaded):
    classes = ("ant", "bee", "cat")

    def __init__(self, root, train=True, transform=None, target_transform=None, download=False):
        self.get(root, "train" if train else "test", download)


class BySplit(Downloaded):
    def __init__(self, root, split="train", transform=None, target_transform=None, download=False):
        self.get(root, split, download)


class WithoutTest(Downloaded):
    def __init__(self, root, download=False):
        self.get(root, "train", download)


class Offline(BySplit):
    def get(self, root, split, download):
        raise OSError("no mirror answers")


@pytest.fixture(autouse=True)
def made_up(monkeypatch):
    for kind in (ByTrain, BySplit, WithoutTest, Offline):
        monkeypatch.setattr(torchvision.datasets, kind.__name__, kind, raising=False)


def options(name: str) -> TorchvisionConfig:
    return TorchvisionConfig(name="torchvision", dataset=name)


@pytest.mark.parametrize(
    ("name", "classes"), [("ByTrain", ["ant", "bee", "cat"]), ("BySplit", ["0", "1", "2"])], ids=["train", "split"]
)
def test_both_splits_are_read_whichever_way_the_class_asks_for_them(tmp_path, name, classes):
    source.fetch(options(name), tmp_path)
    content = source.read(options(name), tmp_path)
    assert content.classes == classes
    for split, samples in content.splits.items():
        assert len(samples) == LENGTH[split]
        for number in range(len(samples)):
            sample = samples[number]
            assert (sample.key, sample.label, sample.extension) == (f"{number:08d}", number % 3, "png")
            np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(sample.image))), pixels(split, number))


@pytest.mark.parametrize("name", ["NoSuchThing", "WithoutTest", "FakeData", "ImageFolder", "VisionDataset"])
def test_a_dataset_that_does_not_download_a_train_and_a_test_split_is_refused_by_name(tmp_path, name):
    with pytest.raises(Failure, match=f"source.dataset: torchvision has no dataset {name} that downloads"):
        source.fetch(options(name), tmp_path)


@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100", "MNIST", "SVHN", "STL10", "Food101", "GTSRB", "DTD"])
def test_torchvision_has_the_dataset_and_gives_it_in_a_way_that_load_knows(tmp_path, name):
    with pytest.raises(RuntimeError, match=r"(?i)download"):
        source.load(name, tmp_path, "train")


class Damaged(ByTrain):
    """A class that unpacks a zip which is cut short."""

    def __init__(self, root, train=True, download=False):
        zipfile.ZipFile(io.BytesIO(b"PK\3\4"))


def test_a_damaged_archive_is_a_failure_that_names_the_dataset(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision.datasets, "Damaged", Damaged, raising=False)
    with pytest.raises(
        Failure, match="torchvision could not fetch Damaged: File is not a zip file; download it yourself"
    ):
        source.fetch(options("Damaged"), tmp_path)


def test_a_download_that_fails_is_a_failure_that_names_the_dataset(tmp_path):
    with pytest.raises(Failure, match="torchvision could not fetch Offline: no mirror answers"):
        source.fetch(options("Offline"), tmp_path)
