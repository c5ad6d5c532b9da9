"""Shards: tars of images that WebDataset streams, with an index that gives any image at once.

A split is a folder of `NNNNNN.tar` and `index.parquet`. A sample is two members of a tar, `<key>.<jpg|png>` and
`<key>.cls`; its row in the index says where its image begins. The index's metadata names the classes and gives the
sha256 of every shard; where samples have annotations, it has those too, by their keys.
"""

import io
import json
import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from stages.program import Failure

INDEX = "index.parquet"
SCHEMA = pa.schema(
    {
        "key": pa.string(),
        "label": pa.int64(),
        "height": pa.int32(),
        "width": pa.int32(),
        "bytes": pa.int64(),
        "sha256": pa.string(),
        "shard": pa.string(),
        "offset": pa.int64(),
    }
)
HELD_IN_MEMORY = 1 << 30
INDEX_LIMIT = 2**31 - 1
"""How many bytes the metadata of an index may have: the masks of a large set are above pyarrow's own limit."""


class Shards:
    """The encoded images of a split, at random access, with their keys and labels."""

    def __init__(self, folder: Path):
        """
        Raises:
            Failure: the index or a shard that it names is not there.
        """
        self.folder = folder
        try:
            index = pq.read_table(folder / INDEX, thrift_string_size_limit=INDEX_LIMIT)
        except (FileNotFoundError, pa.ArrowInvalid) as error:
            raise Failure(f"{folder / INDEX}: no index of shards ({error})") from error
        self.classes: list[str] = json.loads(index.schema.metadata[b"classes"])
        self.keys: list[str] = index["key"].to_pylist()
        self.annotations: dict[str, Any] = json.loads(index.schema.metadata.get(b"annotations", b"{}"))
        self.labels: NDArray[np.int64] = index["label"].to_numpy().copy()
        self._names = index["shard"].to_pylist()
        self._offsets, self._sizes = index["offset"].to_numpy(), index["bytes"].to_numpy()
        self._maps = {name: _map(folder / name) for name in json.loads(index.schema.metadata[b"shards"])}

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, number: int) -> bytes:
        """The bytes of an image file."""
        offset = self._offsets[number]
        return self._maps[self._names[number]][offset : offset + self._sizes[number]]

    def name(self, number: int) -> str:
        """Where an image is, for a message to people."""
        return f"{self.keys[number]} in {self.folder / self._names[number]}"


class Images:
    """The decoded images of a split, in uint8, all of one size; each is decoded once where they fit in memory."""

    def __init__(self, shards: Shards, size: int, channels: int, interpolation: str = "bilinear"):
        self.shards, self.size, self.channels, self.interpolation = shards, size, channels, interpolation
        shape = (len(shards), channels, size, size)
        fits = np.prod(shape, dtype=np.int64) <= HELD_IN_MEMORY
        self._held = torch.empty(shape, dtype=torch.uint8) if fits else None
        self._known = np.zeros(len(shards), bool)

    def __len__(self) -> int:
        return len(self.shards)

    def __getitem__(self, numbers: NDArray[np.int64]) -> Tensor:
        """The images (B, C, size, size) of some sample numbers (B,)."""
        if self._held is None:
            return torch.stack([self._decode(number) for number in numbers])
        for number in numbers[~self._known[numbers]]:
            self._held[number] = self._decode(number)
        self._known[numbers] = True
        return self._held[torch.from_numpy(numbers)]

    def _decode(self, number: int) -> Tensor:
        return fit(self.original(number), self.size, self.interpolation)

    def original(self, number: int) -> Tensor:
        """One image (C, H, W) of its own size; it is decoded each time.

        Raises:
            Failure: it cannot be decoded.
        """
        try:
            with Image.open(io.BytesIO(self.shards[number])) as image:
                return array(image, self.channels)
        except (OSError, SyntaxError, ValueError) as error:  # Pillow raises each of them for a broken PNG
            raise Failure(f"{self.shards.name(number)}: cannot be decoded ({error})") from error


def array(image: Image.Image, channels: int) -> Tensor:
    """The pixels (C, H, W) in uint8 of an image, grey if there is to be one channel."""
    pixels = np.array(image.convert("L" if channels == 1 else "RGB"))
    return torch.from_numpy(pixels).view(*pixels.shape[:2], channels).permute(2, 0, 1)


def fit(image_CHW: Tensor, size: int, interpolation: str = "bilinear") -> Tensor:
    """Resize the shorter side to `size` and cut the middle of the longer one, as evaluation does."""
    height, width = image_CHW.shape[1:]
    if (height, width) == (size, size):
        return image_CHW
    short = min(height, width)
    extent = (height * size // short, width * size // short)
    resized_CHW = F.interpolate(image_CHW[None].float(), extent, mode=interpolation, antialias=True)[0]
    top, left = round((extent[0] - size) / 2), round((extent[1] - size) / 2)
    return resized_CHW[:, top : top + size, left : left + size].round().clamp(0, 255).to(torch.uint8)


def _map(file: Path) -> mmap.mmap:
    try:
        with file.open("rb") as stream:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (FileNotFoundError, ValueError) as error:
        raise Failure(f"{file}: a shard that the index names is missing or empty") from error
