"""Sources of images, one file each: how a dataset is fetched, and how what was fetched is read."""

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
    """An encoded image: its key within the split, the number of its class, its bytes and their kind.

    An annotation is what a class does not say, as JSON may have it.
    """

    key: str
    label: int
    image: bytes
    extension: str
    annotation: Mapping[str, Any] | None = None


class Dataset(NamedTuple):
    """What a source offers: the names of the classes, and for each split its samples, at random access."""

    classes: list[str]
    splits: Mapping[str, Sequence[Sample]]


class Arrays(Sequence[Sample]):
    """A split that lies in memory as pixels (N, H, W) or (N, H, W, 3) in uint8; each image becomes a PNG."""

    def __init__(self, pixels: NDArray[np.uint8], labels: NDArray[np.integer]):
        self.pixels, self.labels = pixels, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, number: int) -> Sample:  # type: ignore[override]
        return Sample(f"{number:08d}", int(self.labels[number]), png(Image.fromarray(self.pixels[number])), "png")


def load_source(name: str) -> ModuleType:
    """The module of a source, which has `fetch(options, directory)` and `read(options, directory) -> Dataset`."""
    return importlib.import_module(f"whole_in_parts.data.sources.{name}")


def png(image: Image.Image) -> bytes:
    """The bytes of an image as a PNG, without loss."""
    stream = io.BytesIO()
    image.save(stream, "png")
    return stream.getvalue()


def check(name: str, pieces: Iterable[bytes], expected: str | None) -> str:
    """The sha256 of the pieces one after the other.

    Raises:
        Failure: it is not the expected one.
    """
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    if expected and digest.hexdigest() != expected:
        raise Failure(f"{name}: its sha256 is {digest.hexdigest()}, and params.yaml expects {expected}")
    return digest.hexdigest()


def held_out(labels: NDArray[np.integer], share: float) -> NDArray[np.bool_]:
    """Which samples to test on, where a source has no test split: a share of each class, always the same ones."""
    chosen = np.zeros(len(labels), bool)
    chosen[stratified(labels, share * len(labels), "held out")] = True
    return chosen
