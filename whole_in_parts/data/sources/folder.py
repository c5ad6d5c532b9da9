"""A folder of images, `<split>/<class>/<image>` or `<class>/<image>`, or a tar of it, compressed or not.

The images are stored as one uncompressed tar, since many small files are slow to hash and to push. The splits are
`train` and `test` (or `val`); without splits, a fifth of each class is held out for test.
"""

import os
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from whole_in_parts.config.sources.folder import FolderConfig
from whole_in_parts.data.source import Dataset, Sample, check, held_out
from whole_in_parts.failure import Failure
from whole_in_parts.progress import progress

FILE = "images.tar"
EXTENSIONS = {".jpg": "jpg", ".jpeg": "jpg", ".png": "png"}
SPLITS = {"train": "train", "test": "test", "val": "test"}
TEST_SHARE = 0.2
CHUNK = 1 << 20


def fetch(options: FolderConfig, directory: Path) -> None:
    """Pack the images of the folder or the tar.

    Raises:
        Failure: there is no folder or tar at the path, or the checksum differs.
    """
    store(options.path, options.sha256, directory)


def store(source: Path, sha256: str | None, directory: Path) -> None:
    """Write the images of a folder or a tar to one uncompressed tar, and verify their checksum.

    Raises:
        Failure: there is no folder or tar at the path, or the checksum differs.
    """
    packed = directory / FILE
    if source.is_dir():
        pack(source, packed)
        digest = check(str(source), _chunks(packed), sha256)
    elif source.is_file() and tarfile.is_tarfile(source):
        digest = check(str(source), _chunks(source), sha256)
        unpack(source, packed)
    else:
        raise Failure(f"source.path: {source} is neither a folder nor a tar of images")
    print(f"sha256 of {source}: {digest}", flush=True)


def pack(folder: Path, packed: Path) -> None:
    """Write the images of a folder to a tar whose bytes depend on names and contents alone."""
    with tarfile.open(packed, "w") as tar:
        for file in progress(sorted(folder.rglob("*")), "pack", unit="file"):
            if file.suffix.lower() in EXTENSIONS:
                member = tarfile.TarInfo(file.relative_to(folder).as_posix())
                member.size = file.stat().st_size
                with file.open("rb") as content:
                    tar.addfile(member, content)


def unpack(archive: Path, packed: Path) -> None:
    """Copy the images of a tar to an uncompressed tar; other files are left out."""
    with tarfile.open(archive) as source, tarfile.open(packed, "w") as tar:
        for member in progress(source, "unpack", unit="file"):
            if member.isfile() and PurePosixPath(member.name).suffix.lower() in EXTENSIONS:
                tar.addfile(member, source.extractfile(member))


class Members(Sequence[Sample]):
    """A split: members of a tar, given as (name, label, offset, size), each read by its offset."""

    def __init__(self, packed: Path, members: list[tuple[str, int, int, int]]):
        self.file = os.open(packed, os.O_RDONLY)
        self.members = members

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]
        name, label, offset, size = self.members[index]
        image = os.pread(self.file, size, offset)
        return Sample(key(name), label, image, EXTENSIONS[PurePosixPath(name).suffix.lower()])


def read(options: FolderConfig, directory: Path) -> Dataset:
    """Read the splits and classes from the paths of the images.

    Raises:
        Failure: a path names no class, two paths differ in their extension alone, or a split is missing.
    """
    packed = directory / FILE
    with tarfile.open(packed) as tar:
        images = sorted((member.name, member.offset_data, member.size) for member in tar)
    if not images:
        raise Failure(f"{options.path}: no image ({', '.join(EXTENSIONS)}) is in it")

    parts = [PurePosixPath(name).parts for name, *_ in images]
    if shallow := next((name for (name, *_), path in zip(images, parts, strict=True) if len(path) < 2), None):
        raise Failure(f"{options.path}: {shallow} lies in no folder that names its class")
    counts = Counter(key(name) for name, *_ in images)
    if duplicate := next((name for name, count in counts.items() if count > 1), None):
        raise Failure(
            f"{options.path}: {counts[duplicate]} images are called {duplicate}, but for their endings and dots"
        )

    classes = sorted({path[-2] for path in parts})
    labels = np.array([classes.index(path[-2]) for path in parts])
    rows = [(name, int(label), offset, size) for (name, offset, size), label in zip(images, labels, strict=True)]
    split_of = splits(parts, labels)
    if missing := {"train", "test"}.difference(split_of):
        raise Failure(f"{options.path}: no image is of split {' or '.join(sorted(missing))}")
    return Dataset(
        classes,
        {
            split: Members(packed, [rows[index] for index in np.flatnonzero(split_of == split)])
            for split in ("train", "test")
        },
    )


def key(name: str) -> str:
    """Return the sample key of a path: without extension, and dots replaced, since WebDataset ends a key at a dot."""
    return str(PurePosixPath(name).with_suffix("")).replace(".", "_")


def splits(parts: list[tuple[str, ...]], labels: NDArray[np.int64]) -> NDArray[np.str_]:
    """Return the split (N,) of each image: the folder above its class, or a stratified random split without one.

    Raises:
        Failure: some images are in a folder of a split and others are not.
    """
    named = [SPLITS.get(path[-3]) if len(path) > 2 else None for path in parts]
    if all(split is None for split in named):
        return np.where(held_out(labels, TEST_SHARE), "test", "train")
    if None in named:
        stray = parts[named.index(None)]
        raise Failure(f"{'/'.join(stray)}: the folder above the class names no split ({', '.join(SPLITS)})")
    return np.array(named)


def _chunks(file: Path) -> Iterator[bytes]:
    """Yield the content of a file in chunks."""
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk
