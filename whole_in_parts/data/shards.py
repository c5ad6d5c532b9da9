"""Shards: tars of images that WebDataset can stream, with an index for random access.

A split is a folder of `NNNNNN.tar` and `index.parquet`. A sample is two members of a tar, `<key>.<jpg|png>` and
`<key>.cls`; its row in the index gives the offset of the image. The metadata of the index names the classes and gives
the sha256 of every shard; annotations, if samples have them, are stored there by key. Shards may also be remote
(`remote.py`).
"""

import hashlib
import mmap
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from whole_in_parts.async_copy import copy_async
from whole_in_parts.augment.views import Batch, Crop, make_batch
from whole_in_parts.config.transform import DEFAULT_TRANSFORM, ImageTransform
from whole_in_parts.cores import workers
from whole_in_parts.data.index import INDEX as INDEX
from whole_in_parts.data.index import INDEX_LIMIT as INDEX_LIMIT
from whole_in_parts.data.index import SCHEMA as SCHEMA
from whole_in_parts.data.index import map_shard, read_index
from whole_in_parts.data.pixels import decode, resize_center_crop, to_tensor
from whole_in_parts.data.remote import RemoteShards
from whole_in_parts.failure import Failure

CPU = torch.device("cpu")
HELD_IN_MEMORY = 1 << 30
"""Limit in bytes of the decoded images that are held in memory."""
HELD_ON_GPU = 1 / 4
"""Limit of the decoded images that are held on a GPU, as a fraction of its free memory."""
AHEAD = 2
"""Number of remote shards that are downloaded ahead."""


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
        index = read_index(folder / INDEX)
        self.classes = index.classes
        self.keys = index.keys
        self.annotations = index.annotations
        self.labels = index.labels_N
        self.extents_N2 = index.extents_N2
        self._index = index
        self._is_verified = np.zeros(len(index.keys), bool)

        url = os.environ.get("SHARDS_URL")
        self._order = [*index.checksums]
        present = [name for name in index.checksums if not url or (folder / name).exists()]
        self._maps = {name: map_shard(folder / name, index.ends[name]) for name in present}
        remote = f"{url}/{folder.parent.name}/{folder.name}" if url else ""
        self._remote = RemoteShards(remote, index.checksums, index.ends)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> bytes:
        """Return the bytes of an image file.

        Raises:
            Failure: its shard is remote and cannot be downloaded, the remote shards exceed the cache, or the bytes are
                not those of the index.
        """
        name = self._index.shards[index]
        if name in self._maps:
            return self._read(self._maps[name], index)

        # Random access to a set larger than the cache would download the same shards again and again.
        self._remote.check_fits_cache(int(self._index.sizes_N.sum()))
        following = self._order.index(name) + 1
        return self._read(self._remote.tar(name, self._order[following : following + AHEAD]), index)

    def iter_shards(self, rank: int = 0, world_size: int = 1) -> Iterator[tuple[int, bytes]]:
        """Yield the indices and bytes of all images, shard by shard; each of `world_size` readers has its own shards.

        The next remote shards are downloaded meanwhile, and the cache keeps to its limit.
        """
        own = self._order[rank::world_size]
        for name, indices in groupby(range(len(self)), self._index.shards.__getitem__):
            if name in own:
                following = [other for other in own[own.index(name) + 1 :] if other not in self._maps][:AHEAD]
                tar = self._maps.get(name) or self._remote.tar(name, following)
                yield from ((index, self._read(tar, index)) for index in indices)

    def _read(self, tar: mmap.mmap, index: int) -> bytes:
        """Return the bytes of an image from its mapped shard; they are verified when they are first read.

        Raises:
            Failure: their sha256 is not that of the index.
        """
        offset = self._index.offsets_N[index]
        image = tar[offset : offset + self._index.sizes_N[index]]
        if not self._is_verified[index]:
            if hashlib.sha256(image).digest() != self._index.digests_N32[index].tobytes():
                raise Failure(f"{self.name(index)}: the bytes are not those that were packed: {self._remedy(index)}")
            self._is_verified[index] = True
        return image

    def _remedy(self, index: int) -> str:
        """Say what to do about a damaged shard."""
        name = self._index.shards[index]
        if name in self._maps:
            return "restore the shard, or pack the dataset again"
        return f"remove {self._remote.cached(name)}, and it is downloaded again"

    def name(self, index: int) -> str:
        """Return the key and the shard of an image, for messages."""
        return f"{self.keys[index]} in {self.folder / self._index.shards[index]}"


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
            Failure: the image cannot be decoded, or has another extent than the index says.
        """
        image = self.shards[index]
        extent = self.shards.extents_N2[index] if len(self.shards.extents_N2) else None
        try:
            return decode(image, self.channels, extent)
        except ValueError as error:
            raise Failure(f"{self.shards.name(index)}: cannot be decoded ({error})") from error


def storage_device(size: int, device: torch.device) -> torch.device | None:
    """Return where `size` bytes of images can be held: on the device, in CPU memory, or nowhere (None)."""
    if device.type == "cuda" and size <= HELD_ON_GPU * torch.cuda.mem_get_info(device)[0]:
        return device
    return torch.device("cpu") if size <= HELD_IN_MEMORY else None
