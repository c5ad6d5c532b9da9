"""Shards: tars of images that WebDataset can stream, with an index for random access.

A split is a folder of `NNNNNN.tar` and `index.parquet`. A sample is two members of a tar, `<key>.<jpg|png>` and
`<key>.cls`; its row in the index gives the offset of the image. The metadata of the index names the classes and gives
the sha256 of every shard; annotations, if samples have them, are stored there by key. Shards may also be remote
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
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from whole_in_parts.async_copy import copy_async
from whole_in_parts.augment.views import Batch, Crop, make_batch
from whole_in_parts.config.transform import DEFAULT_TRANSFORM, ImageTransform
from whole_in_parts.cores import workers
from whole_in_parts.data.pixels import resize_center_crop, to_tensor
from whole_in_parts.data.remote import RemoteShards
from whole_in_parts.failure import Failure

CPU = torch.device("cpu")
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
"""Limit in bytes of the decoded images that are held in memory."""
HELD_ON_GPU = 1 / 4
"""Limit of the decoded images that are held on a GPU, as a fraction of its free memory."""
AHEAD = 2
"""Number of remote shards that are downloaded ahead."""
INDEX_LIMIT = 2**31 - 1
"""Limit in bytes of the metadata of an index: the masks of a large set exceed pyarrow's default."""


class Shards:
    """The encoded images of a split with random access, their keys and labels. N images in the split."""

    extents_N2: NDArray[np.int64] = np.empty((0, 2), np.int64)
    """Height and width of each image in pixels; empty where they are unknown."""

    def __init__(self, folder: Path):
        """Read the index of a split.

        Raises:
            Failure: the index is missing, or a shard that it names is missing and there is no remote.
        """
        self.folder = folder
        try:
            with pq.ParquetFile(
                folder / INDEX, thrift_string_size_limit=INDEX_LIMIT
            ) as file:  # quicker than read_table
                index = file.read()
        except (FileNotFoundError, pa.ArrowInvalid) as error:
            raise Failure(f"{folder / INDEX}: no index of shards ({error})") from error

        self.classes: list[str] = json.loads(index.schema.metadata[b"classes"])
        self.keys: list[str] = index["key"].to_pylist()
        self.annotations: dict[str, Any] = json.loads(index.schema.metadata.get(b"annotations", b"{}"))
        self.labels: NDArray[np.int64] = index["label"].to_numpy().copy()
        self.extents_N2 = np.stack([index["height"].to_numpy(), index["width"].to_numpy()], 1).astype(np.int64)
        self._shard_names = index["shard"].to_pylist()
        self._offsets = index["offset"].to_numpy()
        self._sizes = index["bytes"].to_numpy()

        checksums = json.loads(index.schema.metadata[b"shards"])
        url = os.environ.get("SHARDS_URL")
        self._order = [*checksums]
        self._maps = {name: _map(folder / name) for name in checksums if not url or (folder / name).exists()}
        self._remote = RemoteShards(f"{url}/{folder.parent.name}/{folder.name}", checksums)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> bytes:
        """Return the bytes of an image file.

        Raises:
            Failure: its shard is remote and cannot be downloaded, or the remote shards exceed the cache.
        """
        name = self._shard_names[index]
        if name in self._maps:
            return self._read(self._maps[name], index)

        # Random access to a set larger than the cache would download the same shards again and again.
        self._remote.check_fits_cache(int(self._sizes.sum()))
        following = self._order.index(name) + 1
        return self._read(self._remote.tar(name, self._order[following : following + AHEAD]), index)

    def iter_shards(self, rank: int = 0, world_size: int = 1) -> Iterator[tuple[int, bytes]]:
        """Yield the indices and bytes of all images, shard by shard; each of `world_size` readers has its own shards.

        The next remote shards are downloaded meanwhile, and the cache keeps to its limit.
        """
        own = self._order[rank::world_size]
        for name, indices in groupby(range(len(self)), self._shard_names.__getitem__):
            if name in own:
                following = [other for other in own[own.index(name) + 1 :] if other not in self._maps][:AHEAD]
                tar = self._maps.get(name) or self._remote.tar(name, following)
                yield from ((index, self._read(tar, index)) for index in indices)

    def _read(self, tar: mmap.mmap, index: int) -> bytes:
        """Return the bytes of an image from its mapped shard."""
        offset = self._offsets[index]
        return tar[offset : offset + self._sizes[index]]

    def name(self, index: int) -> str:
        """Return the key and the shard of an image, for messages."""
        return f"{self.keys[index]} in {self.folder / self._shard_names[index]}"


class Images:
    """The images (N, C, size, size) of a split in uint8, transformed for evaluation.

    Each image is decoded once if all fit in memory. If the model's device is a GPU with enough free memory, the images
    are held there.
    """

    def __init__(
        self,
        shards: Shards,
        size: int,
        channels: int,
        transform: ImageTransform = DEFAULT_TRANSFORM,
        device: torch.device = CPU,
    ):
        self.shards = shards
        self.size = size
        self.channels = channels
        self.transform = transform

        shape = (len(shards), channels, size, size)
        storage = storage_device(int(np.prod(shape, dtype=np.int64)), device)
        self._held = torch.empty(shape, dtype=torch.uint8, device=storage) if storage else None
        self._is_decoded = np.zeros(len(shards), bool)

    def __len__(self) -> int:
        return len(self.shards)

    def __getitem__(self, indices: NDArray[np.int64]) -> Tensor:
        """Return the images (B, C, size, size) of the sample indices (B,)."""
        if self._held is None:
            return torch.stack([*self._decode(indices)])

        device = self._held.device
        new = indices[~self._is_decoded[indices]]
        if len(new):
            self._held[copy_async(torch.from_numpy(new), device)] = copy_async(
                torch.stack([*self._decode(new)]), device
            )
            self._is_decoded[indices] = True
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
            labels_N: the labels of the split, on the device of the batches.
            crops: the crops that make up a batch.
            pieces: returns the sample indices (B,) of each batch of a step.
            seed: the seed of the run.
            steps: the current step and the next ones, for which a subclass may prepare views ahead.
        """
        device = labels_N.device
        for indices in pieces(steps[0]):
            labels_B = labels_N[copy_async(torch.from_numpy(indices), device)]
            yield make_batch(copy_async(self[indices], device), labels_B, crops, indices, seed, steps[0])

    @cached_property
    def have_target_size(self) -> bool:
        """Whether all images are known to have the side `size` already and none is resized."""
        is_resized = self.transform.resize not in {None, self.size}
        extents_N2 = self.shards.extents_N2
        return not is_resized and len(extents_N2) > 0 and bool((extents_N2 == self.size).all())

    def _decode(self, indices: NDArray[np.int64]) -> Iterable[Tensor]:
        """Yield images (C, size, size); those that need a resize are decoded in parallel."""
        return map(self.original, indices) if self.have_target_size else self.pool.map(self._transformed, indices)

    def _transformed(self, index: int) -> Tensor:
        """Decode an image and transform it for evaluation, (C, size, size)."""
        return to_tensor(resize_center_crop(self.open(index), self.size, self.transform), self.channels)

    @cached_property
    def pool(self) -> ThreadPoolExecutor:
        """Threads that decode in parallel, since Pillow releases the global interpreter lock."""
        return ThreadPoolExecutor(workers(), "decode")

    def original(self, index: int) -> Tensor:
        """Decode an image (C, H, W) at its original size; the result is not held.

        Raises:
            Failure: the image cannot be decoded.
        """
        return to_tensor(self.open(index), self.channels)

    def open(self, index: int) -> Image.Image:
        """Decode an image with Pillow, as greyscale for one channel and as RGB otherwise.

        Raises:
            Failure: the image cannot be decoded.
        """
        try:
            with Image.open(io.BytesIO(self.shards[index])) as image:
                return image.convert("L" if self.channels == 1 else "RGB")
        except (OSError, SyntaxError, ValueError) as error:  # Pillow raises all three for a broken PNG
            raise Failure(f"{self.shards.name(index)}: cannot be decoded ({error})") from error


def storage_device(size: int, device: torch.device) -> torch.device | None:
    """Return where `size` bytes of images can be held: on the device, in CPU memory, or nowhere (None)."""
    if device.type == "cuda" and size <= HELD_ON_GPU * torch.cuda.mem_get_info(device)[0]:
        return device
    return torch.device("cpu") if size <= HELD_IN_MEMORY else None


def _map(file: Path) -> mmap.mmap:
    """Map a shard into memory."""
    try:
        with file.open("rb") as stream:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (FileNotFoundError, ValueError) as error:
        raise Failure(f"{file}: a shard that the index names is missing or empty") from error
