"""A released set of corrupted images, read where it lies: as CIFAR-10-C is (`_arrays.py`), or as ImageNet-C, in folders
`<corruption>/<severity>/<class>/<image>`.
"""

from pathlib import Path

import numpy as np

from whole_in_parts.data.shards import Shards
from whole_in_parts.evaluation.corruptions._arrays import LABELS, Arrays
from whole_in_parts.failure import Failure

EXTENSIONS = {".jpg", ".jpeg", ".png"}
SHOWN = 5


def released(folder: Path, corruption: str, severity: int, clean: Shards) -> Shards:
    """The images of a corruption at a severity, of whichever layout the folder has.

    Args:
        clean: the dataset's test images.

    Raises:
        Failure: something is missing or broken, or it is not of the dataset.
    """
    if (folder / LABELS).exists():
        return Arrays(folder, corruption, severity, clean)
    return Released(folder, corruption, severity, clean.classes)


class Released(Shards):
    """The images of a corruption at a severity, in the order of classes and names; their keys are `<class>/<name>`."""

    def __init__(self, folder: Path, corruption: str, severity: int, classes: list[str]) -> None:
        """
        Args:
            classes: those of the dataset, whose numbers are the labels.

        Raises:
            Failure: the corruption or the severity has no folder, its classes are not the dataset's, or one is empty.
        """
        self.folder, self.classes = folder / corruption / str(severity), classes
        refuse_missing(folder, self.folder)
        refuse_other_classes(self.folder, classes)
        self.files: list[Path] = []
        labels: list[int] = []
        for label, name in sorted(enumerate(classes), key=lambda numbered: numbered[1]):
            found = sorted(file for file in (self.folder / name).iterdir() if file.suffix.lower() in EXTENSIONS)
            if not found:
                raise Failure(f"{self.folder / name}: no image ({', '.join(sorted(EXTENSIONS))}) is in it")
            self.files += found
            labels += [label] * len(found)
        self.labels = np.array(labels, np.int64)
        self.keys = [f"{file.parent.name}/{file.stem}" for file in self.files]

    def __getitem__(self, number: int) -> bytes:
        return self.files[number].read_bytes()

    def name(self, number: int) -> str:
        return str(self.files[number])


def refuse_missing(root: Path, needed: Path) -> None:
    for folder in (root, needed.parent, needed):
        if not folder.is_dir():
            raise Failure(
                f"corrupt.folder: there is no folder {folder}; it needs <corruption>/<severity>/<class>/<image>, or "
                f"<corruption>.npy and {LABELS}"
            )


def refuse_other_classes(folder: Path, classes: list[str]) -> None:
    found = {entry.name for entry in folder.iterdir() if entry.is_dir()}
    differences = {"lacks": sorted(set(classes) - found), "has more:": sorted(found - set(classes))}
    if any(differences.values()):
        said = [f"it {verb} {some(names)}" for verb, names in differences.items() if names]
        raise Failure(f"{folder}: its classes are not the dataset's: {' and '.join(said)}")


def some(names: list[str]) -> str:
    """A few names, and how many there are beside them."""
    rest = f" and {len(names) - SHOWN} others" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest
