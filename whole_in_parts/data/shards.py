"""Shards: tars of images that WebDataset streams, with an index that gives any image at once.

A split is a folder of `NNNNNN.tar` and `index.parquet`. A sample is two members of a tar, `<key>.<jpg|png>` and
`<key>.cls`; its row in the index says where its image begins. The index's metadata names the classes and gives the
sha256 of every shard; where samples have annotations, it has those too, by their keys. Shards may also lie elsewhere
(`remote.py`).
"""

import io
import json
import mmap
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import groupby
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

from whole_in_parts.async_copy import copy_async
from whole_in_parts.augment.views import Batch, Crop, make_batch
from whole_in_parts.cores import workers
from whole_in_parts.data.remote import Remote
from whole_in_parts.failure import Failure

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
HELD_ON_GPU = 1 / 4
"""How much of the free memory of a GPU decoded images may take."""
AHEAD = 2
"""How many shards are fetched before they are needed."""
INDEX_LIMIT = 2**31 - 1
"""How many bytes the metadata of an index may have: the masks of a large set are above pyarrow's own limit."""


class Shards:
    """The encoded images of a split, at random access, with their keys and labels."""

    extents_N2: NDArray[np.int64] = np.empty((0, 2), np.int64)
    """Height and width of each image; of none, where they are not known."""

    def __init__(self, folder: Path):
        """
        Raises:
            Failure: the index is not there, or a shard that it names is neither there nor elsewhere.
        """
        self.folder = folder
        try:
            with pq.ParquetFile(folder / INDEX, thrift_string_size_limit=INDEX_LIMIT) as file:  # quicker to import
                index = file.read()
        except (FileNotFoundError, pa.ArrowInvalid) as error:
            raise Failure(f"{folder / INDEX}: no index of shards ({error})") from error
        self.classes: list[str] = json.loads(index.schema.metadata[b"classes"])
        self.keys: list[str] = index["key"].to_pylist()
        self.annotations: dict[str, Any] = json.loads(index.schema.metadata.get(b"annotations", b"{}"))
        self.labels: NDArray[np.int64] = index["label"].to_numpy().copy()
        self.extents_N2 = np.stack([index["height"].to_numpy(), index["width"].to_numpy()], 1).astype(np.int64)
        self._names = index["shard"].to_pylist()
        self._offsets, self._sizes = index["offset"].to_numpy(), index["bytes"].to_numpy()
        checksums = json.loads(index.schema.metadata[b"shards"])
        self._order, url = [*checksums], os.environ.get("SHARDS_URL")
        self._maps = {name: _map(folder / name) for name in checksums if not url or (folder / name).exists()}
        self._remote = Remote(f"{url}/{folder.parent.name}/{folder.name}", checksums)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, number: int) -> bytes:
        """The bytes of an image file.

        Raises:
            Failure: its shard lies elsewhere and cannot be fetched, or there are more than the cache may hold.
        """
        name = self._names[number]
        if name not in self._maps:
            self._remote.ask_for_room(int(self._sizes.sum()))
            place = self._order.index(name)
            return self._cut(self._remote.tar(name, self._order[place + 1 : place + 1 + AHEAD]), number)
        return self._cut(self._maps[name], number)

    def in_turn(self, rank: int = 0, ranks: int = 1) -> Iterator[tuple[int, bytes]]:
        """The numbers and bytes of all images, shard by shard; of several readers, each has its own shards.

        Of shards that lie elsewhere, the next are fetched meanwhile, and no more are here than the cache may hold.
        """
        own = self._order[rank::ranks]
        for name, indices in groupby(range(len(self)), self._names.__getitem__):
            if name in own:
                after = [other for other in own[own.index(name) + 1 :] if other not in self._maps][:AHEAD]
                tar = self._maps.get(name) or self._remote.tar(name, after)
                yield from ((number, self._cut(tar, number)) for number in indices)

    def _cut(self, tar: mmap.mmap, number: int) -> bytes:
        offset = self._offsets[number]
        return tar[offset : offset + self._sizes[number]]

    def name(self, number: int) -> str:
        """Where an image is, for a message to people."""
        return f"{self.keys[number]} in {self.folder / self._names[number]}"


class Images:
    """The decoded images of a split, in uint8, all of one size; each is decoded once where they fit in memory.

    Where the model's device is a GPU with room for them, they are held there.
    """

    def __init__(
        self,
        shards: Shards,
        size: int,
        channels: int,
        interpolation: str = "bilinear",
        device: torch.device = torch.device("cpu"),  # noqa: B008
    ):
        self.shards, self.size, self.channels, self.interpolation = shards, size, channels, interpolation
        shape = (len(shards), channels, size, size)
        place = home(int(np.prod(shape, dtype=np.int64)), device)
        self._held = torch.empty(shape, dtype=torch.uint8, device=place) if place else None
        self._known = np.zeros(len(shards), bool)

    def __len__(self) -> int:
        return len(self.shards)

    def __getitem__(self, indices: NDArray[np.int64]) -> Tensor:
        """The images (B, C, size, size) of some sample numbers (B,)."""
        if self._held is None:
            return torch.stack([*self._decode(indices)])
        device, new = self._held.device, indices[~self._known[indices]]
        if len(new):
            self._held[copy_async(torch.from_numpy(new), device)] = copy_async(
                torch.stack([*self._decode(new)]), device
            )
            self._known[indices] = True
        return self._held[copy_async(torch.from_numpy(indices), device)]

    def batches(
        self,
        labels_N: Tensor,
        crops: Sequence[Crop],
        pieces: Callable[[int], list[NDArray[np.int64]]],
        seed: int,
        steps: range,
    ) -> Iterator[Batch]:
        """The batches of the first of `steps`, on the device of the labels.

        Args:
            labels_N: the labels of all images.
            pieces: the indices (B,) of the images of each batch of a step.
            steps: this step and the ones that follow, for which a subclass may prepare views ahead.
        """
        device = labels_N.device
        for indices in pieces(steps[0]):
            labels_B = labels_N[copy_async(torch.from_numpy(indices), device)]
            yield make_batch(copy_async(self[indices], device), labels_B, crops, indices, seed, steps[0])

    @cached_property
    def alike(self) -> bool:
        """Whether all images are of this size already."""
        return bool((self.shards.extents_N2 == self.size).all())

    def _decode(self, indices: NDArray[np.int64]) -> Iterable[Tensor]:
        """Images (C, size, size); large ones are decoded by all workers."""
        originals = map(self.original, indices) if self.alike else self.pool.map(self.original, indices)
        return (resize_center_crop(image_CHW, self.size, self.interpolation) for image_CHW in originals)

    @cached_property
    def pool(self) -> ThreadPoolExecutor:
        """Threads that decode: Pillow does so without the interpreter's lock."""
        return ThreadPoolExecutor(workers(), "decode")

    def original(self, number: int) -> Tensor:
        """One image (C, H, W) of its own size; it is decoded each time.

        Raises:
            Failure: it cannot be decoded.
        """
        return array(self.open(number), self.channels)

    def open(self, number: int) -> Image.Image:
        """One image as Pillow has it, in grey if there is to be one channel, or else in RGB.

        Raises:
            Failure: it cannot be decoded.
        """
        try:
            with Image.open(io.BytesIO(self.shards[number])) as image:
                return image.convert("L" if self.channels == 1 else "RGB")
        except (OSError, SyntaxError, ValueError) as error:  # Pillow raises each of them for a broken PNG
            raise Failure(f"{self.shards.name(number)}: cannot be decoded ({error})") from error


def home(size: int, device: torch.device) -> torch.device | None:
    """Where so many bytes may be held: on the device, in memory, or nowhere."""
    if device.type == "cuda" and size <= HELD_ON_GPU * torch.cuda.mem_get_info(device)[0]:
        return device
    return torch.device("cpu") if size <= HELD_IN_MEMORY else None


def array(image: Image.Image, channels: int) -> Tensor:
    """The pixels (C, H, W) in uint8 of an image, grey if there is to be one channel."""
    pixels = np.array(image.convert("L" if channels == 1 else "RGB"))
    return torch.from_numpy(pixels).view(*pixels.shape[:2], channels).permute(2, 0, 1)


def resize_center_crop(image_CHW: Tensor, size: int, interpolation: str = "bilinear") -> Tensor:
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
