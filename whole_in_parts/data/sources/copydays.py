"""Copydays (Douze et al., 2009, "Evaluation of GIST descriptors for web-scale image search"): copies of photographs.

A folder, or a tar of one: `original/`, `strong/` with copies of them that people distorted strongly, and if you have
any, `distractors/` (to be found by no query) and `whitening/` (neither searched nor sought). Images that begin with the
same four characters show the same photograph; whatever else lies there is left out.

Originals and copies are of a class for each photograph, the others of the classes `distractor` and `whitening`. Train
is all but the copies, and test is these, so that test has no images of one or two of the classes.
"""

import tarfile
from pathlib import Path, PurePosixPath

from whole_in_parts.config.sources.copydays import CopydaysConfig
from whole_in_parts.data.source import Dataset
from whole_in_parts.data.sources import folder
from whole_in_parts.failure import Failure

DISTRACTOR, WHITENING = "distractor", "whitening"
SHARED = {"distractors": DISTRACTOR, "whitening": WHITENING}
"""The class of all images of a folder."""

PREFIX = 4
WHERE = "https://lear.inrialpes.fr/~jegou/data.php"


def fetch(options: CopydaysConfig, directory: Path) -> None:
    """Pack the folder, or the tar, as it is.

    Raises:
        Failure: it is not there.
    """
    if not options.path.exists():
        raise Failure(
            f"source.path: {options.path} is not there; get Copydays from {WHERE}, and unpack its originals to "
            f"{options.path / 'original'} and its strong copies to {options.path / 'strong'}"
        )
    folder.store(options.path, options.sha256, directory)


def read(options: CopydaysConfig, directory: Path) -> Dataset:
    """The database as train, the queries as test.

    Raises:
        Failure: there are no originals or no copies, or a copy is of no original.
    """
    packed = directory / folder.FILE
    with tarfile.open(packed) as tar:
        members = sorted((member.name, member.offset_data, member.size) for member in tar)
    found = [(kind, member) for member in members if (kind := kind_of(member[0]))]
    if missing := {"original", "strong"} - {kind for kind, _ in found}:
        raise Failure(f"{options.path}: no image is in a folder {' or '.join(sorted(missing))}")
    classes = [
        *sorted({prefix(name) for kind, (name, *_) in found if kind == "original"}),
        *[SHARED[kind] for kind in SHARED if any(kind == other for other, _ in found)],
    ]
    rows: dict[str, list] = {"train": [], "test": []}
    for kind, (name, offset, size) in found:
        group = SHARED.get(kind, prefix(name))
        if group not in classes:
            raise Failure(f"{options.path}: {name} is a copy of no original: none begins with {group}")
        rows["test" if kind == "strong" else "train"].append((name, classes.index(group), offset, size))
    return Dataset(classes, {split: folder.Members(packed, members) for split, members in rows.items()})


def kind_of(name: str) -> str | None:
    """The folder that says what an image is for, of those that it lies in."""
    return next((part for part in PurePosixPath(name).parts[:-1] if part in {"original", "strong", *SHARED}), None)


def prefix(name: str) -> str:
    """What images of one photograph have in common."""
    return PurePosixPath(name).name[:PREFIX]
