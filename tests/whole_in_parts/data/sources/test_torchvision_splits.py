"""The classes of torchvision whose splits are others than train and test, in place of which there are made-up ones."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from pydantic import ValidationError

from whole_in_parts.config.sources.torchvision import TorchvisionConfig
from whole_in_parts.data.sources import torchvision as source
from whole_in_parts.failure import Failure

LENGTH = {"train": 6, "val": 3, "trainval": 9, "test": 4, "unlabeled": 8}
PARTS = {
    "DTD": ["train", "val"],
    "Flowers102": ["train", "val"],
    "FGVCAircraft": ["train", "val"],
    "OxfordIIITPet": ["trainval"],
    "Food101": ["train"],
}


def pixels(split: str, number: int) -> np.ndarray:
    return np.random.default_rng([LENGTH[split], number]).integers(0, 256, (5, 7, 3), np.uint8)


class Split:
    """A class that has `split`, and the images of each, if it was downloaded before."""

    classes = ("ant", "bee", "cat")

    def __init__(self, root, split="train", download=False):
        if download:
            Path(root, split).touch()
        elif not Path(root, split).exists():
            raise RuntimeError("Dataset not found. You can use download=True to download it")
        self.split = split

    def __len__(self) -> int:
        return LENGTH[self.split]

    def __getitem__(self, number: int):
        return Image.fromarray(pixels(self.split, number)), number % 3


class Loading(Split):
    """Gives what `loader` makes of the path of an image."""

    def __init__(self, root, split="train", download=False, loader=Image.open):
        super().__init__(root, split, download)
        self.root, self.loader = root, loader

    def __getitem__(self, number: int):
        file = Path(self.root, f"{self.split}{number}.{('JPG', 'png', 'bmp')[number % 3]}")
        Image.fromarray(pixels(self.split, number)).save(file)
        return self.loader(str(file)), number % 3


class Unsplit:
    """Gives all images at once, with the labels of all."""

    categories = ("ant", "bee")
    y = (0,) * 40 + (1,) * 31

    def __init__(self, root, download=False):
        pass

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, number: int):
        return Image.fromarray(np.full((4, 4), number, np.uint8)), self.y[number]


def options(name: str, path: Path | None = None, validation: str = "train") -> TorchvisionConfig:
    has_validation = name in TorchvisionConfig.validation_splits
    validation_is = {"validation": validation} if has_validation else {}
    return TorchvisionConfig(name="torchvision", dataset=name, path=path, **validation_is)


def decoded(image: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(image)))


@pytest.mark.parametrize("name", PARTS)
def test_train_is_all_that_is_not_test(tmp_path, monkeypatch, name):
    monkeypatch.setattr(torchvision.datasets, name, Split)
    source.fetch(options(name), tmp_path)
    content = source.read(options(name), tmp_path)
    assert content.classes == ["ant", "bee", "cat"]
    assert {file.name for file in tmp_path.iterdir()} == {*PARTS[name], "test"}
    for split, parts in (("train", PARTS[name]), ("test", ["test"])):
        expected = [(part, number) for part in parts for number in range(LENGTH[part])]
        samples = list(content.splits[split])
        assert [sample.key for sample in samples] == [f"{number:08d}" for number in range(len(expected))]
        for sample, (part, number) in zip(samples, expected, strict=True):
            assert sample.label == number % 3
            np.testing.assert_array_equal(decoded(sample.image), pixels(part, number))


@pytest.mark.parametrize("name", TorchvisionConfig.validation_splits)
@pytest.mark.parametrize(
    ("validation", "train", "test"),
    [("train", ["train", "val"], ["test"]), ("test", ["train"], ["val"]), ("unused", ["train"], ["test"])],
)
def test_validation_images_are_in_the_split_that_the_option_says(monkeypatch, name, validation, train, test):
    asked = []
    monkeypatch.setattr(
        torchvision.datasets, name, lambda root, split="train", download=False: asked.append(split.removesuffix("id"))
    )
    for split, expected in (("train", train), ("test", test)):
        asked.clear()
        source.load(name, Path("anywhere"), split, validation)
        assert asked == expected


@pytest.mark.parametrize("name", TorchvisionConfig.validation_splits)
def test_torchvision_has_the_validation_split_under_the_name_that_is_asked_for(tmp_path, name):
    with pytest.raises(RuntimeError, match="not found"):
        source.load(name, tmp_path, "test", "test")


@pytest.mark.parametrize(
    ("name", "validation", "message"),
    [
        ("DTD", None, "validation: DTD has validation images beside train and test; say what they are: train, test or"),
        (
            "CIFAR10",
            "train",
            "validation: CIFAR10 has no such images beside train and test; these have: Country211, DTD",
        ),
        ("DTD", "val", "'train', 'test' or 'unused'"),
    ],
)
def test_validation_images_without_a_split_and_a_split_without_such_images_are_refused(name, validation, message):
    with pytest.raises(ValidationError, match=message):
        TorchvisionConfig(name="torchvision", dataset=name, validation=validation)


class STL10(Split):
    """Also has images without labels."""

    def __getitem__(self, number: int):
        image, label = super().__getitem__(number)
        return image, -1 if self.split == "unlabeled" else label


@pytest.mark.parametrize("unlabelled", [False, True])
def test_the_unlabelled_images_of_stl_10_are_a_split_of_their_own_if_they_are_asked_for(
    tmp_path, monkeypatch, unlabelled
):
    monkeypatch.setattr(torchvision.datasets, "STL10", STL10)
    asked = TorchvisionConfig(name="torchvision", dataset="STL10", unlabelled=unlabelled)
    source.fetch(asked, tmp_path)
    found = source.read(asked, tmp_path).splits
    assert list(found) == ["train", "test", *(["unlabelled"] if unlabelled else [])]
    assert ("unlabeled" in {file.name for file in tmp_path.iterdir()}) == unlabelled
    if unlabelled:
        assert [sample.label for sample in found["unlabelled"]] == [-1] * LENGTH["unlabeled"]
        np.testing.assert_array_equal(decoded(found["unlabelled"][7].image), pixels("unlabeled", 7))


def test_torchvision_gives_the_unlabelled_images_of_stl_10_in_a_way_that_load_knows(tmp_path):
    with pytest.raises(RuntimeError, match="Dataset not found"):
        source.load("STL10", tmp_path, "unlabelled")


def test_unlabelled_images_of_a_dataset_that_has_none_are_refused():
    with pytest.raises(ValidationError, match="unlabelled: CIFAR10 has no images without labels"):
        TorchvisionConfig(name="torchvision", dataset="CIFAR10", unlabelled=True)


def test_files_are_taken_as_they_are_where_a_class_names_them(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision.datasets, "Food101", Loading)
    source.fetch(options("Food101"), tmp_path)
    samples = list(source.read(options("Food101"), tmp_path).splits["train"])
    assert [sample.extension for sample in samples] == ["jpg", "png", "bmp"] * 2
    assert samples[0].image == (tmp_path / "train0.JPG").read_bytes()
    assert samples[1].image == (tmp_path / "train1.png").read_bytes()
    np.testing.assert_array_equal(decoded(samples[2].image), pixels("train", 2))


def test_thirty_images_of_each_class_of_caltech_101_are_train_always_the_same_and_the_others_test(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(torchvision.datasets, "Caltech101", Unsplit)
    source.fetch(options("Caltech101"), tmp_path)
    first, second = (source.read(options("Caltech101"), tmp_path) for _ in range(2))
    found = {split: [int(decoded(sample.image)[0, 0]) for sample in samples] for split, samples in first.splits.items()}
    assert first.classes == ["ant", "bee"]
    assert np.bincount([sample.label for sample in first.splits["train"]]).tolist() == [30, 30]
    assert np.bincount([sample.label for sample in first.splits["test"]]).tolist() == [10, 1]
    assert sorted(found["train"] + found["test"]) == list(range(71))
    assert list(first.splits["train"]) == list(second.splits["train"])
    assert found["train"] != sorted(range(30)) + sorted(range(40, 70))


@pytest.mark.parametrize("name", ["OxfordIIITPet", "Flowers102", "FGVCAircraft", "StanfordCars", "Caltech101"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_torchvision_has_the_dataset_and_gives_it_in_a_way_that_load_knows(tmp_path, name, split):
    with pytest.raises(RuntimeError, match="Dataset not found"):
        source.load(name, tmp_path, split)


def test_a_dataset_that_can_no_longer_be_downloaded_is_refused_with_how_to_get_it(tmp_path):
    with pytest.raises(Failure, match=r"StanfordCars: The original URL is broken .* name that in source\.path"):
        source.fetch(options("StanfordCars"), tmp_path)


def test_what_was_downloaded_by_hand_is_copied_and_nothing_is_downloaded(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision.datasets, "StanfordCars", Split)
    (tmp_path / "mine").mkdir()
    (tmp_path / "fetched").mkdir()
    (tmp_path / "mine/train").touch()
    with pytest.raises(Failure, match="could not fetch StanfordCars: Dataset not found"):
        source.fetch(options("StanfordCars", tmp_path / "mine"), tmp_path / "fetched")
    (tmp_path / "mine/test").touch()
    source.fetch(options("StanfordCars", tmp_path / "mine"), tmp_path / "fetched")
    assert {file.name for file in (tmp_path / "fetched").iterdir()} == {"train", "test"}
    with pytest.raises(Failure, match=r"could not fetch StanfordCars: .*absent.* name that in source\.path"):
        source.fetch(options("StanfordCars", tmp_path / "absent"), tmp_path / "fetched")


def wordnet_folder(place: Path, splits: list[str], wnids: list[str]) -> dict[str, list[tuple[str, bytes]]]:
    """Write two JPEGs for each class of each split, as ImageNet and Imagenette lie; return their class and bytes."""
    found: dict[str, list[tuple[str, bytes]]] = {}
    for split in splits:
        for wnid in wnids:
            for number in range(2):
                file = place / split / wnid / f"{wnid}_{number}.JPEG"
                file.parent.mkdir(parents=True, exist_ok=True)
                dice = np.random.default_rng([len(split), int(wnid[1:]), number])
                Image.fromarray(dice.integers(0, 256, (5, 7, 3), np.uint8)).save(file, "jpeg")
                found.setdefault(split, []).append((wnid, file.read_bytes()))
    return found


def read_files(name: str, path: Path, directory: Path) -> dict[str, list[tuple[str, bytes]]]:
    directory.mkdir()
    source.fetch(options(name, path), directory)
    content = source.read(options(name, path), directory)
    for samples in content.splits.values():
        assert samples.labels == [sample.label for sample in samples]
    return {split: [(content.classes[s.label], s.image) for s in samples] for split, samples in content.splits.items()}


def test_imagenet_is_read_as_torchvision_lays_it_out_with_its_validation_images_as_test(tmp_path):
    wnids = ["n01440764", "n02102040"]
    expected = wordnet_folder(tmp_path / "imagenet", ["train", "val"], wnids)
    names = {wnid: (f"a name of {wnid}",) for wnid in wnids}
    torch.save((names, ["n01440764"]), tmp_path / "imagenet/meta.bin")
    found = read_files("ImageNet", tmp_path / "imagenet", tmp_path / "fetched")
    assert found == {"train": expected["train"], "test": expected["val"]}


def test_imagenette_is_read_as_it_is_released_with_its_validation_images_as_test(tmp_path):
    wnids = sorted(torchvision.datasets.Imagenette._WNID_TO_CLASS)
    expected = wordnet_folder(tmp_path / "set/imagenette2", ["train", "val"], wnids)
    found = read_files("Imagenette", tmp_path / "set", tmp_path / "fetched")
    assert found == {"train": expected["train"], "test": expected["val"]}


def test_places365_asks_for_the_small_images_and_the_published_validation_images(monkeypatch):
    asked = []

    class Places365:
        def __init__(self, root, split="train-standard", small=False, download=False, loader=None):
            asked.append((split, small, loader))

    monkeypatch.setattr(torchvision.datasets, "Places365", Places365)
    for split in ("train", "test"):
        source.load("Places365", Path("anywhere"), split)
    assert asked == [("train-standard", True, Path), ("val", True, Path)]
