"""A class of `torchvision.datasets` that downloads itself, by its name: CIFAR10, CIFAR100, STL10, SVHN …"""

import inspect
from collections.abc import Sequence
from pathlib import Path

from stages.program import Failure
from stages.sources import Dataset, Sample, png


def fetch(options, directory: Path) -> None:
    """Download both splits."""
    try:
        for split in ("train", "test"):
            load(options.dataset, directory, split, download=True)
    except (OSError, RuntimeError) as error:
        raise Failure(f"torchvision could not fetch {options.dataset}: {error}") from error


def read(options, directory: Path) -> Dataset:
    """Both splits, each image as a PNG."""
    splits = {split: load(options.dataset, directory, split) for split in ("train", "test")}
    classes = getattr(splits["train"], "classes", None)
    if classes is None:
        classes = [str(label) for label in sorted({int(splits["train"][i][1]) for i in range(len(splits["train"]))})]
    return Dataset(list(classes), {split: Pairs(dataset) for split, dataset in splits.items()})


def load(name: str, directory: Path, split: str, download: bool = False):
    """The torchvision dataset of a split, whichever way its class asks for one.

    Raises:
        Failure: there is no class of that name, or it has neither `train` nor `split`.
    """
    from torchvision import datasets

    kind = getattr(datasets, name, None)
    parameters = set(inspect.signature(kind).parameters) if kind else set()
    if kind is None or "download" not in parameters or not {"train", "split"} & parameters:
        raise Failure(f"source.dataset: torchvision has no dataset {name} that downloads a train and a test split")
    which = {"train": split == "train"} if "train" in parameters else {"split": split}
    return kind(str(directory), download=download, **which)


class Pairs(Sequence[Sample]):
    """A split of (image, label) pairs."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, number: int) -> Sample:  # type: ignore[override]
        image, label = self.dataset[number]
        return Sample(f"{number:08d}", int(label), png(image), "png")
