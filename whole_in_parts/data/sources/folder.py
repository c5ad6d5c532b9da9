"""A folder of images, `<split>/<class>/<image>` or `<class>/<image>`, or a tar of one, compressed or not.

It is kept as one uncompressed tar, since many small files are slow to hash and to push. The splits are `train` and
`test` (or `val`); where there are none, a fifth of each class is held out.
"""

import os
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

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
    store(options.path, options.sha256, directory)


def store(source: Path, sha256: str | None, directory: Path) -> None:
    """Pack the folder, or unpack the compression of the tar, and check what came."""
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
    """Copy a tar without its compression, and without what is no image."""
    with tarfile.open(archive) as source, tarfile.open(packed, "w") as tar:
        for member in progress(source, "unpack", unit="file"):
            if member.isfile() and PurePosixPath(member.name).suffix.lower() in EXTENSIONS:
                tar.addfile(member, source.extractfile(member))


class Members(Sequence[Sample]):
    """A split: members of the tar, each read where it lies."""

    def __init__(self, packed: Path, members: list[tuple[str, int, int, int]]):
        self.file, self.members = os.open(packed, os.O_RDONLY), members

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, number: int) -> Sample:  # type: ignore[override]
        name, label, offset, size = self.members[number]
        image = os.pread(self.file, size, offset)
        return Sample(key(name), label, image, EXTENSIONS[PurePosixPath(name).suffix.lower()])


def read(options: FolderConfig, directory: Path) -> Dataset:
    """The splits and classes that the paths name.

    Raises:
        Failure: a path names no class, two differ in their ending alone, or a split is missing.
    """
    packed = directory / FILE
    with tarfile.open(packed) as tar:
        found = sorted((member.name, member.offset_data, member.size) for member in tar)
    if not found:
        raise Failure(f"{options.path}: no image ({', '.join(EXTENSIONS)}) is in it")
    parts = [PurePosixPath(name).parts for name, *_ in found]
    if shallow := next((name for (name, *_), path in zip(found, parts, strict=True) if len(path) < 2), None):
        raise Failure(f"{options.path}: {shallow} lies in no folder that names its class")
    names = Counter(key(name) for name, *_ in found)
    if twin := next((name for name, times in names.items() if times > 1), None):
        raise Failure(f"{options.path}: {names[twin]} images are called {twin}, but for their endings and dots")
    classes = sorted({path[-2] for path in parts})
    labels = np.array([classes.index(path[-2]) for path in parts])
    rows = [(name, int(label), offset, size) for (name, offset, size), label in zip(found, labels, strict=True)]
    chosen = splits(parts, labels)
    if missing := {"train", "test"}.difference(chosen):
        raise Failure(f"{options.path}: no image is of split {' or '.join(sorted(missing))}")
    return Dataset(
        classes,
        {
            split: Members(packed, [rows[number] for number in np.flatnonzero(chosen == split)])
            for split in ("train", "test")
        },
    )


def key(name: str) -> str:
    """The key of the sample that a path is: WebDataset ends a key at its first dot."""
    return str(PurePosixPath(name).with_suffix("")).replace(".", "_")


def splits(parts: list[tuple[str, ...]], labels: np.ndarray) -> np.ndarray:
    """The split of each image: by the folder above its class, or else by chance, a share of each class."""
    named = [SPLITS.get(path[-3]) if len(path) > 2 else None for path in parts]
    if all(split is None for split in named):
        return np.where(held_out(labels, TEST_SHARE), "test", "train")
    if None in named:
        stray = parts[named.index(None)]
        raise Failure(f"{'/'.join(stray)}: the folder above the class names no split ({', '.join(SPLITS)})")
    return np.array(named)


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk
