"""The classes of a `val` folder without class folders, from a file, as Tiny-ImageNet and ILSVRC have it."""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from whole_in_parts.failure import Failure


def read_labels(file: Path) -> dict[str, str]:
    """Read the class of each image, by its name without extension: the first two words of every line, or columns.

    Raises:
        Failure: there is no such file, or a line has no two words.
    """
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"source.val_labels: {file} cannot be read ({error})") from error
    labels = {}
    for number, line in enumerate(filter(None, lines), 1):
        words = re.split(r"[\s,]+", line.strip())
        if len(words) < 2:
            raise Failure(f"source.val_labels: {file}: line {number} has no image and class: {line!r}")
        labels[PurePosixPath(words[0]).stem] = words[1]
    return labels


def check_labels(val_labels: Mapping[str, str], names: Mapping[Path, str]) -> None:
    """Check that the images of `val` are those that have labels; a heading of the file is not one of them.

    Raises:
        Failure: some images have no label, or some labels have no image.
    """
    images = {file.stem: file for file, name in names.items() if name.startswith("val/")}
    classes = {PurePosixPath(name).parts[1] for name in names.values() if name.startswith("train/")}
    if unlabelled := sorted(images.keys() - val_labels.keys()):
        raise Failure(f"source.val_labels: {len(unlabelled)} images of val have no class, such as {unlabelled[0]}")
    known = {image for image, label in val_labels.items() if label in classes}
    if absent := sorted(known - images.keys()):
        raise Failure(f"source.val_labels: {len(absent)} images that have a class are not in val, such as {absent[0]}")
