"""A class of `torchvision.datasets` that can download itself, selected by name: CIFAR10, CIFAR100, STL10, SVHN, …

`validation` says which split the validation images of DTD, Flowers102, FGVCAircraft and others are in; probes that
choose an option hold out a part of train. Where no test images have labels, the validation images are test: ImageNet,
Places365 (the small images) and Imagenette. The 100,000 images of STL-10 without labels may be a split of their own.
Caltech-101 has no splits: a fixed choice of 30 images of each class is train, and the other images are test.
ImageNet cannot be downloaded: `path` is a folder that torchvision.datasets.ImageNet can read.
"""

import inspect
import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from whole_in_parts.augment.randomness import uniforms
from whole_in_parts.config.datasets import UNLABELLED
from whole_in_parts.config.sources.torchvision import TorchvisionConfig
from whole_in_parts.data.source import Dataset, Sample, png
from whole_in_parts.failure import Failure, first_line

TRAINS = {"OxfordIIITPet": "trainval", "Places365": "train-standard"}
"""The torchvision split that is train, where it is not `train`."""

TESTS = {"ImageNet": "val", "Imagenette": "val", "Places365": "val"}
"""The torchvision split that is test, where it is not `test`."""

KEYWORDS = {"Places365": {"small": True}}
"""Further arguments of a dataset."""

PER_CLASS = {"Caltech101": 30}
"""Number of train images of each class, for datasets without splits."""


def fetch(options: TorchvisionConfig, directory: Path) -> None:
    """Download all splits, or copy the folder `options.path`.

    Raises:
        Failure: torchvision has no such dataset, or cannot download or load it.
    """
    try:
        if options.path:
            shutil.copytree(options.path, directory, dirs_exist_ok=True)
        for split in splits(options):
            load(options.dataset, directory, split, options.validation, download=not options.path)
    except Failure:
        raise
    except Exception as error:  # damaged archives make their decompressors raise errors of many types
        raise Failure(
            f"torchvision could not fetch {options.dataset}: {first_line(error)}; download it yourself, into a folder "
            f"laid out as the documentation of torchvision.datasets.{options.dataset} has it, and name that in "
            "source.path"
        ) from error


def read(options: TorchvisionConfig, directory: Path) -> Dataset:
    """Read all splits; an image is its original file where torchvision has that, or a PNG."""
    pairs = {split: Pairs(load(options.dataset, directory, split, options.validation)) for split in splits(options)}
    return Dataset(pairs["train"].classes(), pairs)


def splits(options: TorchvisionConfig) -> list[str]:
    """Return the names of the splits to pack."""
    return ["train", "test", *([UNLABELLED] if options.unlabelled else [])]


def load(name: str, directory: Path, split: str, validation: str | None = None, download: bool = False) -> list[Any]:
    """Return the torchvision datasets that make up a split; `validation` is that of the options.

    Raises:
        Failure: there is no class of that name, or it takes neither `train` nor `split`.
    """
    from torch.utils.data import Subset
    from torchvision import datasets

    kind = getattr(datasets, name, None)
    parameters = set(inspect.signature(kind).parameters) if kind else set()
    is_loaded = "download" in parameters or name in TESTS
    if kind is None or not is_loaded or not ({"train", "split"} & parameters or name in PER_CLASS):
        raise Failure(f"source.dataset: torchvision has no dataset {name} that downloads a train and a test split")

    options: dict[str, Any] = KEYWORDS.get(name, {}) | ({"loader": Path} if "loader" in parameters else {})
    options |= {"download": download} if "download" in parameters else {}
    # ImageNet passes further arguments on to ImageFolder, which has a loader.
    options |= {"loader": Path} if name == "ImageNet" else {}
    if name in PER_CLASS:
        unsplit = kind(str(directory), **options)
        is_train = sample_per_class(np.array(unsplit.y), PER_CLASS[name])
        return [Subset(unsplit, np.flatnonzero(is_train if split == "train" else ~is_train).tolist())]
    if "train" in parameters:
        return [kind(str(directory), train=split == "train", **options)]
    return [kind(str(directory), split=part, **options) for part in parts_of(name, split, validation)]


def parts_of(name: str, split: str, validation: str | None) -> list[str]:
    """Return the torchvision splits that make up a split."""
    parts = {"train": [TRAINS.get(name, "train")], "test": [TESTS.get(name, "test")], UNLABELLED: ["unlabeled"]}
    if validation == "train":
        parts["train"].append(TorchvisionConfig.validation_splits[name])
    elif validation == "test":
        parts["test"] = [TorchvisionConfig.validation_splits[name]]
    return parts[split]


def sample_per_class(labels: NDArray[np.integer], count: int) -> NDArray[np.bool_]:
    """Return a mask (N,) of `count` random samples of each class; the choice is always the same."""
    chosen = np.zeros(len(labels), bool)
    rank = uniforms(np.arange(len(labels)), "few of each")
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        chosen[members[np.argsort(rank[members])[:count]]] = True
    return chosen


def labels_of_part(part: Any) -> Sequence[int]:
    """Return the labels of a torchvision dataset."""
    for name in ("targets", "labels", "_labels"):
        if hasattr(part, name):
            return getattr(part, name)
    return [part[index][1] for index in range(len(part))]


class Pairs(Sequence[Sample]):
    """A split: the (image, label) pairs of one or more datasets; an image is decoded or the path of its file."""

    def __init__(self, parts: list[Any]):
        self.parts = parts
        self.ends = np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]
        image, label = self.pair(index)
        if not isinstance(image, Path):
            return Sample(f"{index:08d}", int(label), png(image), "png")
        ending = image.suffix.lower().removeprefix(".")
        return Sample(f"{index:08d}", int(label), image.read_bytes(), "jpg" if ending == "jpeg" else ending)

    @cached_property
    def labels(self) -> list[int]:
        """The labels (N,), without decoding where torchvision has them apart."""
        return [int(label) for part in self.parts for label in labels_of_part(part)]

    def pair(self, index: int) -> tuple[Image.Image | Path, int]:
        """Return an image and its label."""
        part = int(np.searchsorted(self.ends, index, side="right"))
        return self.parts[part][index - (self.ends[part] - len(self.parts[part]))]

    def classes(self) -> list[str]:
        """Return the names of the classes, or their indices if they have no names."""
        dataset = getattr(self.parts[0], "dataset", self.parts[0])
        # ImageNet's classes have several names each, and one WordNet ID.
        for name in ("wnids", "classes", "categories"):
            if hasattr(dataset, name):
                return list(getattr(dataset, name))
        return [str(label) for label in sorted({int(self.pair(index)[1]) for index in range(len(self))})]
