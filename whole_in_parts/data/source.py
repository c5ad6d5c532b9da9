"""Sources of images, one file each: a module fetches a dataset and reads the fetched files."""

import hashlib
import importlib
import io
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from whole_in_parts.augment.randomness import stratified
from whole_in_parts.failure import Failure


class Sample(NamedTuple):
    """An encoded image with its label."""

    key: str
    """Unique within the split."""
    label: int
    """Index of the class; −1 in the split `unlabelled`."""
    image: bytes
    """The image file."""
    extension: str
    """The ending of its name in lower case, without a dot: `jpg` for all JPEGs."""
    annotation: Mapping[str, Any] | None = None
    """Annotation beyond the class, such as boxes; serialisable as JSON."""


class Dataset(NamedTuple):
    """The names of the classes, and the samples of each split, with random access."""

    classes: list[str]
    splits: Mapping[str, Sequence[Sample]]


class Arrays(Sequence[Sample]):
    """A split in memory: pixels (N, H, W) or (N, H, W, 3) in uint8, and labels (N,); images are encoded as PNG."""

    def __init__(self, pixels: NDArray[np.uint8], labels: NDArray[np.integer]):
        self.pixels = pixels
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]
        return Sample(f"{index:08d}", int(self.labels[index]), png(Image.fromarray(self.pixels[index])), "png")


def load_source(name: str) -> ModuleType:
    """Import the module of a source: `fetch(options, directory)` and `read(options, directory) -> Dataset`."""
    return importlib.import_module(f"whole_in_parts.data.sources.{name}")


def png(image: Image.Image) -> bytes:
    """Encode an image as PNG (lossless)."""
    stream = io.BytesIO()
    image.save(stream, "png")
    return stream.getvalue()


def check(name: str, pieces: Iterable[bytes], expected: str | None) -> str:
    """Return the sha256 of the concatenated pieces.

    Raises:
        Failure: it differs from the expected one.
    """
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)

    sha256 = digest.hexdigest()
    if expected and sha256 != expected:
        raise Failure(f"{name}: its sha256 is {sha256}, and params.yaml expects {expected}")
    return sha256


def held_out(labels: NDArray[np.integer], share: float) -> NDArray[np.bool_]:
    """Return a mask (N,) of the test samples of a source without test split: a fixed share of each class."""
    is_test = np.zeros(len(labels), bool)
    is_test[stratified(labels, share * len(labels), "held out")] = True
    return is_test
