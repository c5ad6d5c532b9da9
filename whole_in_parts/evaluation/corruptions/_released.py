"""Read a released set of corrupted images, with the layout of CIFAR-10-C (`_arrays.py`) or of ImageNet-C, in folders
`<corruption>/<severity>/<class>/<image>`.
"""

from pathlib import Path

import numpy as np

from whole_in_parts.data.shards import Shards
from whole_in_parts.evaluation.corruptions._arrays import LABELS, ReleasedArray
from whole_in_parts.failure import Failure

EXTENSIONS = {".jpg", ".jpeg", ".png"}
MAX_LISTED = 5
"""The most names that an error message lists."""


def open_released(folder: Path, corruption: str, severity: int, clean: Shards) -> Shards:
    """Open the images of a corruption at a severity, in either layout.

    Args:
        clean: the dataset's test images.

    Raises:
        Failure: a file or folder is missing or broken, or classes or labels differ from the dataset's.
    """
    if (folder / LABELS).exists():
        return ReleasedArray(folder, corruption, severity, clean)
    return ReleasedFolder(folder, corruption, severity, clean.classes)


class ReleasedFolder(Shards):
    """The images of a corruption at a severity, sorted by class and name; their keys are `<class>/<name>`."""

    def __init__(self, folder: Path, corruption: str, severity: int, classes: list[str]) -> None:
        """List the image files.

        Args:
            classes: the class names of the dataset, which the labels index.

        Raises:
            Failure: the folder of the corruption or severity is missing, its classes differ from the dataset's, or a
                class has no image.
        """
        self.folder = folder / corruption / str(severity)
        self.classes = classes
        refuse_missing(folder, self.folder)
        refuse_other_classes(self.folder, classes)

        self.files: list[Path] = []
        labels: list[int] = []
        for label, name in sorted(enumerate(classes), key=lambda labelled: labelled[1]):
            files = sorted(file for file in (self.folder / name).iterdir() if file.suffix.lower() in EXTENSIONS)
            if not files:
                raise Failure(f"{self.folder / name}: no image ({', '.join(sorted(EXTENSIONS))}) in this folder")
            self.files += files
            labels += [label] * len(files)

        self.labels = np.array(labels, np.int64)
        self.keys = [f"{file.parent.name}/{file.stem}" for file in self.files]

    def __getitem__(self, number: int) -> bytes:
        return self.files[number].read_bytes()

    def name(self, number: int) -> str:
        return str(self.files[number])


def refuse_missing(root: Path, severity_folder: Path) -> None:
    """Raise `Failure` if a folder of the path from `root` to `severity_folder` is missing."""
    for folder in (root, severity_folder.parent, severity_folder):
        if not folder.is_dir():
            raise Failure(
                f"corrupted: there is no folder {folder}; it needs <corruption>/<severity>/<class>/<image>, or "
                f"<corruption>.npy and {LABELS}"
            )


def refuse_other_classes(folder: Path, classes: list[str]) -> None:
    """Raise `Failure` if the folders of classes differ from the dataset's classes."""
    names = {entry.name for entry in folder.iterdir() if entry.is_dir()}
    differences = {"lacks": sorted(set(classes) - names), "also has": sorted(names - set(classes))}
    if any(differences.values()):
        parts = [f"it {verb} {abbreviate(names)}" for verb, names in differences.items() if names]
        raise Failure(f"{folder}: its classes are not the dataset's: {' and '.join(parts)}")


def abbreviate(names: list[str]) -> str:
    """Join the first names and the number of the others."""
    others = f" and {len(names) - MAX_LISTED} others" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + others
