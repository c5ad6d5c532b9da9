"""A part of a dataset: some of its classes, and a fraction of its train images."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from whole_in_parts.augment.randomness import stratified
from whole_in_parts.config.datasets import UNLABELLED
from whole_in_parts.data.source import Dataset, Sample
from whole_in_parts.failure import Failure

SHOWN = 5
"""The most class names that a message lists."""


class Subset(Sequence[Sample]):
    """The samples of a split at some indices, with labels of their own."""

    def __init__(self, samples: Sequence[Sample], indices: NDArray[np.int64], labels: NDArray[np.int64]):
        self.samples = samples
        self.indices = indices
        self.labels = labels

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]
        return self.samples[int(self.indices[index])]._replace(label=int(self.labels[index]))


def select(content: Dataset, name: str, classes: list[str] | None, fraction: float) -> Dataset:
    """Return the named classes in the given order, and a stratified fraction of their train images, always the same.

    Unlabelled images all stay.

    Raises:
        Failure: a class is not in the dataset, or the fraction leaves a class without a train image.
    """
    if classes is not None:
        content = _select_classes(content, name, classes)
    if fraction < 1:
        content = _select_fraction(content, name, fraction)
    return content


def _select_classes(content: Dataset, name: str, classes: list[str]) -> Dataset:
    """Keep the samples of some classes; their labels count through these."""
    if missing := [cls for cls in classes if cls not in content.classes]:
        raise Failure(
            f"datasets.{name}.classes: {len(missing)} of {len(classes)} are not there, such as "
            f"{', '.join(missing[:SHOWN])}; the dataset has {len(content.classes)}, such as "
            f"{', '.join(content.classes[:SHOWN])}"
        )
    new_label = np.full(len(content.classes), -1)
    new_label[[content.classes.index(cls) for cls in classes]] = np.arange(len(classes))

    splits = dict(content.splits)
    for split, samples in content.splits.items():
        if split == UNLABELLED:
            continue
        labels = new_label[labels_of(samples)]
        indices = np.flatnonzero(labels >= 0)
        splits[split] = Subset(samples, indices, labels[indices])
    return Dataset(classes, splits)


def _select_fraction(content: Dataset, name: str, fraction: float) -> Dataset:
    """Keep the same fraction of each class of the train split."""
    samples = content.splits["train"]
    labels = labels_of(samples)
    indices = stratified(labels, fraction * len(labels), "fraction")

    if len(lost := np.setdiff1d(labels, labels[indices])):
        counts = np.bincount(labels)
        raise Failure(
            f"datasets.{name}.fraction: {fraction} of the {counts[lost[0]]} train images of class "
            f"{content.classes[lost[0]]} is less than one image; allowed is at least {1 / counts[lost].min():.4g}"
        )
    return Dataset(content.classes, {**content.splits, "train": Subset(samples, indices, labels[indices])})


def labels_of(samples: Sequence[Sample]) -> NDArray[np.int64]:
    """Return the labels (N,) of a split, without its images where the source has them apart."""
    labels = getattr(samples, "labels", None)
    if labels is None:
        labels = [sample.label for sample in samples]
    return np.asarray(labels, np.int64)
