"""A class of `torchvision.datasets` that downloads itself, by its name: CIFAR10, CIFAR100, STL10, SVHN …

Where a class has a validation split beside train and test, it is part of train, of which a task that needs one holds
some out. Caltech-101 has no splits: 30 images of each class are train, always the same ones, and the others test.
"""

import inspect
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from whole_in_parts.augment.randomness import uniforms
from whole_in_parts.config.sources.torchvision import TorchvisionConfig
from whole_in_parts.data.source import Dataset, Sample, png
from whole_in_parts.failure import Failure

SPLITS = {
    "DTD": ("train", "val"),
    "Flowers102": ("train", "val"),
    "FGVCAircraft": ("trainval",),
    "OxfordIIITPet": ("trainval",),
}
"""The splits that train is made of, where it is not `train` alone."""

PER_CLASS = {"Caltech101": 30}
"""Images of each class that are train, for classes without splits."""

ENDINGS = {".jpg": "jpg", ".jpeg": "jpg", ".png": "png"}


def fetch(options: TorchvisionConfig, directory: Path) -> None:
    """Download both splits, or copy what lies in `options.path`.

    Raises:
        Failure: there is no such dataset, or it could not be had.
    """
    try:
        if options.path:
            shutil.copytree(options.path, directory, dirs_exist_ok=True)
        for split in ("train", "test"):
            load(options.dataset, directory, split, download=not options.path)
    except (OSError, RuntimeError, ValueError) as error:
        raise Failure(
            f"torchvision could not fetch {options.dataset}: {error}; download it yourself, into a folder laid out as "
            f"the documentation of torchvision.datasets.{options.dataset} has it, and name that in source.path"
        ) from error


def read(options: TorchvisionConfig, directory: Path) -> Dataset:
    """Both splits; an image is its JPEG or PNG file where torchvision gives that, or else a PNG."""
    splits = {split: Pairs(load(options.dataset, directory, split)) for split in ("train", "test")}
    return Dataset(splits["train"].classes(), splits)


def load(name: str, directory: Path, split: str, download: bool = False) -> list:
    """The torchvision datasets that a split is made of, whichever way their class asks for them.

    Raises:
        Failure: there is no class of that name, or it has neither `train` nor `split`.
    """
    from torch.utils.data import Subset
    from torchvision import datasets

    kind = getattr(datasets, name, None)
    parameters = set(inspect.signature(kind).parameters) if kind else set()
    if kind is None or "download" not in parameters or not ({"train", "split"} & parameters or name in PER_CLASS):
        raise Failure(f"source.dataset: torchvision has no dataset {name} that downloads a train and a test split")
    options = {"download": download} | ({"loader": Path} if "loader" in parameters else {})
    if name in PER_CLASS:
        whole = kind(str(directory), **options)
        trains = few_of_each(np.array(whole.y), PER_CLASS[name])
        return [Subset(whole, np.flatnonzero(trains if split == "train" else ~trains).tolist())]
    if "train" in parameters:
        return [kind(str(directory), train=split == "train", **options)]
    parts = SPLITS.get(name, ("train",)) if split == "train" else ("test",)
    return [kind(str(directory), split=part, **options) for part in parts]


def few_of_each(labels: NDArray[np.integer], count: int) -> NDArray[np.bool_]:
    """Which samples (N,) are among so many of each class, drawn once and for all."""
    chosen, rank = np.zeros(len(labels), bool), uniforms(np.arange(len(labels)), "few of each")
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        chosen[members[np.argsort(rank[members])[:count]]] = True
    return chosen


class Pairs(Sequence[Sample]):
    """A split: the (image, label) pairs of one or more datasets, an image being decoded, or the path of its file."""

    def __init__(self, parts: list):
        self.parts, self.ends = parts, np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, number: int) -> Sample:  # type: ignore[override]
        image, label = self.pair(number)
        if not isinstance(image, Path):
            return Sample(f"{number:08d}", int(label), png(image), "png")
        if ending := ENDINGS.get(image.suffix.lower()):
            return Sample(f"{number:08d}", int(label), image.read_bytes(), ending)
        with Image.open(image) as opened:
            return Sample(f"{number:08d}", int(label), png(opened.convert("RGB")), "png")

    def pair(self, number: int) -> tuple[Image.Image | Path, int]:
        """An image and its label."""
        part = int(np.searchsorted(self.ends, number, side="right"))
        return self.parts[part][number - (self.ends[part] - len(self.parts[part]))]

    def classes(self) -> list[str]:
        """The names of the classes, or in want of any, their numbers."""
        whole = getattr(self.parts[0], "dataset", self.parts[0])
        for name in ("classes", "categories"):
            if hasattr(whole, name):
                return list(getattr(whole, name))
        return [str(label) for label in sorted({int(self.pair(number)[1]) for number in range(len(self))})]
