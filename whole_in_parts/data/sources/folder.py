"""A folder of images, `<split>/<class>/<image>` or `<class>/<image>`, or a tar of it, compressed or not.

The images are stored as one uncompressed tar, since many small files are slow to hash and to push; with `leave`, their
list is, and they are read in place. The splits are `train` and `test` (or `val`); without splits, a fifth of each class
is held out for test. Folders may be symbolic links. A folder `images` between class and image, as in Tiny-ImageNet, is
left out, and a `val` folder without class folders takes the classes from a file.
"""

import os
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whole_in_parts.config.sources.folder import FolderConfig
from whole_in_parts.data.source import Dataset, Sample, check, held_out
from whole_in_parts.data.sources import _archive, _left
from whole_in_parts.data.sources._files import EXTENSIONS, image_files
from whole_in_parts.data.sources._labels import check_labels, read_labels
from whole_in_parts.failure import Failure
from whole_in_parts.progress import progress

FILE = "images.tar"
LIST = "images.jsonl"
SPLITS = {"train": "train", "test": "test", "val": "test"}
TEST_SHARE = 0.2
CHUNK = 1 << 20


def fetch(options: FolderConfig, directory: Path) -> None:
    """Pack the images of the folder or the tar, or list them; errors are those of `store`."""
    if not options.leave:
        store(options.path, options.sha256, directory, options.val_labels)
        return
    if not options.path.is_dir():
        raise Failure(f"source.leave: {options.path} is no folder; leave it out")
    names = named_files(options.path, options.val_labels)
    files = progress(in_order(names), "list", unit="file")
    entries = [_left.describe(names[file], file, options.path) for file in files]
    _left.write(entries, directory / LIST)
    digest = check(str(options.path), ((directory / LIST).read_bytes(),), options.sha256)
    print(f"sha256 of the list of {options.path}: {digest}", flush=True)


def store(source: Path, sha256: str | None, directory: Path, val_labels: Path | None = None) -> None:
    """Write the images of a folder or a tar to one uncompressed tar, and verify their checksum.

    Raises:
        Failure: there is no folder or tar at the path, it cannot be read, or the checksum differs.
    """
    packed = directory / FILE
    if source.is_dir():
        pack(source, packed, val_labels)
        digest = check(str(source), _chunks(packed), sha256)
    elif val_labels:
        raise Failure(f"source.val_labels: takes a folder, and {source} is none; unpack it")
    elif source.is_file() and _archive.is_tar(source):
        digest = check(str(source), _chunks(source), sha256)
        _archive.unpack(source, packed)
    else:
        raise Failure(f"source.path: {source} is neither a folder nor a tar of images that can be read")
    print(f"sha256 of {source}: {digest}", flush=True)


def named_files(folder: Path, val_labels: Path | None) -> dict[Path, str]:
    """List the images of a folder, with their names in the tar; errors are those of `pack`."""
    labels = read_labels(folder / val_labels) if val_labels else None
    names = {file: tar_name(file.relative_to(folder), labels) for file in image_files(folder)}
    if labels is not None:
        check_labels(labels, names)
    return names


def in_order(names: Mapping[Path, str]) -> list[Path]:
    """Sort the files by their names in the tar."""
    return sorted(names, key=lambda file: PurePosixPath(names[file]))


def pack(folder: Path, packed: Path, val_labels: Path | None = None) -> None:
    """Write the images of a folder to a tar whose bytes depend on names and contents alone.

    Args:
        folder: the folder.
        packed: the tar.
        val_labels: the file, in the folder, with the class of each image of `val`.

    Raises:
        Failure: an image of `val` has no class, or a class no image, or a file cannot be read or written.
    """
    names = named_files(folder, val_labels)
    with tarfile.open(packed, "w") as tar:
        for file in progress(in_order(names), "pack", unit="file"):
            try:
                member = tarfile.TarInfo(names[file])
                member.size = file.stat().st_size
                with file.open("rb") as content:
                    tar.addfile(member, content)
            except OSError as error:
                raise Failure(f"{file}: cannot be read or copied to {packed} ({error})") from error


def tar_name(path: Path, val_labels: Mapping[str, str] | None) -> str:
    """Return the name in the tar of a path relative to the folder: with its class, and without a folder `images`."""
    parts = [*path.parts]
    # A class may be called so: the folder is superfluous below a class, or where the labels are in a file.
    if parts[-2:-1] == ["images"] and (len(parts) > 3 or val_labels is not None):
        del parts[-2]
    if val_labels is not None and parts[0] == "val" and len(parts) == 2:
        parts.insert(1, val_labels.get(path.stem, ""))
    return "/".join(parts)


class Members(Sequence[Sample]):
    """A split: members of a tar, given as (name, label, offset, size), each read by its offset."""

    def __init__(self, packed: Path, members: list[tuple[str, int, int, int]]):
        self.file = os.open(packed, os.O_RDONLY)
        self.members = members
        self.labels = [label for _, label, _, _ in members]

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]
        name, label, offset, size = self.members[index]
        image = os.pread(self.file, size, offset)
        return Sample(key(name), label, image, EXTENSIONS[PurePosixPath(name).suffix.lower()])


class LeftFiles(Sequence[Sample]):
    """A split: files that are left where they lie, given as (name, label, path, sha256)."""

    def __init__(self, folder: Path, files: list[tuple[str, int, str, str]]):
        self.folder = folder
        self.files = files
        self.labels = [label for _, label, _, _ in files]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]
        name, label, path, sha256 = self.files[index]
        image = _left.content(self.folder / path, sha256)
        return Sample(key(name), label, image, EXTENSIONS[PurePosixPath(name).suffix.lower()])


def read(options: FolderConfig, directory: Path) -> Dataset:
    """Read the splits and classes from the paths of the images.

    Raises:
        Failure: a path names no class, two paths differ in their extension alone, or a split is missing.
    """
    packed = directory / FILE
    images: list[tuple[Any, ...]] = sorted(_left.read(directory / LIST) if options.leave else _archive.members(packed))
    if not images:
        raise Failure(f"{options.path}: no image ({', '.join(EXTENSIONS)}) is in it")

    images = only_test_split(images, options)
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
    rows = [(name, int(label), *place) for (name, *place), label in zip(images, labels, strict=True)]
    split_of = splits(parts, labels)
    if missing := {"train", "test"}.difference(split_of):
        raise Failure(f"{options.path}: no image is of split {' or '.join(sorted(missing))}")
    of_split = {name: [rows[index] for index in np.flatnonzero(split_of == name)] for name in ("train", "test")}
    return Dataset(
        classes,
        {
            name: LeftFiles(options.path, members) if options.leave else Members(packed, members)
            for name, members in of_split.items()
        },
    )


def only_test_split(images: list[tuple[Any, ...]], options: FolderConfig) -> list[tuple[Any, ...]]:
    """Leave out the images of `val` or of `test`, of a set that has both.

    Raises:
        Failure: the set has both, and the options do not say which one is the test split.
    """

    def split(name: str) -> str:
        """The folder of the split; images of a test split without labels lie directly in it."""
        parts = PurePosixPath(name).parts
        return parts[-3] if len(parts) > 2 else parts[0]

    if not {"test", "val"} <= {split(name) for name, *_ in images}:
        return images
    if options.test is None:
        raise Failure(f"source.test: {options.path} has both val and test; say which is the test split: test or val")
    other = "val" if options.test == "test" else "test"
    return [image for image in images if split(image[0]) != other]


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
