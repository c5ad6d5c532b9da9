"""Copydays (Douze et al., 2009, "Evaluation of GIST descriptors for web-scale image search"): copies of photographs.

The source is a folder, or a tar of it: `original/`, `strong/` with strongly distorted copies of the originals, and
optionally `distractors/` (images that match no query) and `whitening/` (images to estimate the whitening, neither
queried nor searched). Images whose names begin with the same four characters show the same photograph; other files are
ignored.

Originals and copies have one class per photograph, the others the classes `distractor` and `whitening`. The copies are
the test split and all other images the train split, so that test has no images of these last classes.
"""

from pathlib import Path, PurePosixPath

from whole_in_parts.config.sources.copydays import CopydaysConfig
from whole_in_parts.data.source import Dataset
from whole_in_parts.data.sources import _archive, folder
from whole_in_parts.failure import Failure

DISTRACTOR, WHITENING = "distractor", "whitening"
SHARED = {"distractors": DISTRACTOR, "whitening": WHITENING}
"""The class that all images of a folder share."""

PREFIX = 4
"""Number of characters that the names of images of one photograph share."""
WHERE = "https://lear.inrialpes.fr/~jegou/data.php"


def fetch(options: CopydaysConfig, directory: Path) -> None:
    """Pack the folder or copy the tar.

    Raises:
        Failure: the folder is missing, or the checksum differs.
    """
    if not options.path.exists():
        raise Failure(
            f"source.path: {options.path} is not there; get Copydays from {WHERE}, and unpack its originals to "
            f"{options.path / 'original'} and its strong copies to {options.path / 'strong'}"
        )
    folder.store(options.path, options.sha256, directory)


def read(options: CopydaysConfig, directory: Path) -> Dataset:
    """Read the database as train and the queries as test.

    Raises:
        Failure: there are no originals or no copies, or a copy has no original.
    """
    packed = directory / folder.FILE
    members = sorted(_archive.members(packed))
    images = [(role, member) for member in members if (role := role_of(member[0]))]
    if missing := {"original", "strong"} - {role for role, _ in images}:
        raise Failure(f"{options.path}: no image is in a folder {' or '.join(sorted(missing))}")
    classes = [
        *sorted({prefix(name) for role, (name, *_) in images if role == "original"}),
        *[SHARED[role] for role in SHARED if any(role == other for other, _ in images)],
    ]

    rows: dict[str, list[tuple[str, int, int, int]]] = {"train": [], "test": []}
    for role, (name, offset, size) in images:
        label = SHARED.get(role, prefix(name))
        if label not in classes:
            raise Failure(f"{options.path}: {name} is a copy of no original: none begins with {label}")
        rows["test" if role == "strong" else "train"].append((name, classes.index(label), offset, size))
    return Dataset(classes, {split: folder.Members(packed, members) for split, members in rows.items()})


def role_of(name: str) -> str | None:
    """Return the folder on the path of an image that gives its role, such as `strong`, or None."""
    return next((part for part in PurePosixPath(name).parts[:-1] if part in {"original", "strong", *SHARED}), None)


def prefix(name: str) -> str:
    """Return the part of the name that images of one photograph share."""
    return PurePosixPath(name).name[:PREFIX]
