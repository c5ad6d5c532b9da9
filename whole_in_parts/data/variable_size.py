"""Views cropped from images of any size, at the original resolution of the shards, as in the papers.

Worker threads decode an image once, then crop and resize all its views in Pillow, as torchvision does; they prepare the
next steps while the current one runs. Flips, colours and blur are applied to the whole batch on the model's device. The
random parameters are those of `views.py`, so that results do not depend on the number of workers or on queued work.

B images, C channels, S×S pixels out, N images in the split.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from whole_in_parts.async_copy import copy_async
from whole_in_parts.augment.views import Batch, Crop, add_view, crop_boxes, draws
from whole_in_parts.config.transform import DEFAULT_TRANSFORM, ImageTransform
from whole_in_parts.data.pixels import FILTERS
from whole_in_parts.data.shards import CPU, HELD_IN_MEMORY, Images, Shards

AHEAD = 2
"""Number of steps whose views are prepared ahead."""


class CropRequest(NamedTuple):
    """All that the views of a batch depend on."""

    indices: bytes
    """The sample indices (B,) in int64, as bytes, so that requests can be compared and hashed."""
    crops: tuple[Crop, ...]
    seed: int
    step: int

    @property
    def indices_B(self) -> NDArray[np.int64]:
        """The sample indices."""
        return np.frombuffer(self.indices, np.int64)


class PendingCrops(NamedTuple):
    """Crops in progress."""

    views: list[NDArray[np.uint8]]
    """For each crop the views (B, S, S, C), before the flip; workers write into them."""
    boxes: list[Tensor]
    """For each crop the boxes (B, 4): top, left, height and width in pixels."""
    work: list[Future[None]]
    """One future for each image of the batch."""


def training_images(
    shards: Shards,
    size: int,
    channels: int,
    transform: ImageTransform = DEFAULT_TRANSFORM,
    device: torch.device = CPU,
) -> Images:
    """Return the images of a split for random crops, which are cut at the original size."""
    images = Images(shards, size, channels, transform, device)
    return images if images.have_target_size else VariableSizeImages(shards, size, channels, transform, device)


def squashed_images(shards: Shards, side: int, channels: int, device: torch.device) -> Images:
    """Return the images of a split resized to `side` × `side` pixels whatever their aspect ratio, for uniform crops."""
    squash = ImageTransform(resize=side, keep_aspect=False, interpolation="bilinear")
    return Images(shards, side, channels, squash, device)


class VariableSizeImages(Images):
    """Images of any size: indexing returns the centre crop, and views are cropped from the complete image.

    One box cannot be shared by images of different sizes: `uniform` crops are taken from the centre crops (`views.py`).
    """

    def __init__(
        self,
        shards: Shards,
        size: int,
        channels: int,
        transform: ImageTransform = DEFAULT_TRANSFORM,
        device: torch.device = CPU,
    ):
        super().__init__(shards, size, channels, transform, device)
        pixels = int(self.shards.extents_N2.prod(1).sum())
        self._decoded: dict[int, Image.Image] | None = {} if pixels * self.channels <= HELD_IN_MEMORY else None
        self._pending: dict[CropRequest, PendingCrops] = {}

    def batches(
        self,
        labels_N: Tensor,
        crops: Sequence[Crop],
        pieces: Callable[[int], list[NDArray[np.int64]]],
        seed: int,
        steps: range,
    ) -> Iterator[Batch]:
        """Yield the batches of the first of `steps`, and start to prepare the views of the next `AHEAD` steps.

        The arguments are those of `Images.batches`.
        """
        # One box cannot serve images of many sizes: uniform crops are cut from the centre squares.
        if any(crop.uniform for crop in crops):
            yield from super().batches(labels_N, crops, pieces, seed, steps)
            return

        requests = [
            [CropRequest(np.int64(indices).tobytes(), tuple(crops), seed, step) for indices in pieces(step)]
            for step in steps[: 1 + AHEAD]
        ]
        queued = [request for step_requests in requests for request in step_requests]
        # Requests that were started by an earlier call are kept, others are dropped.
        self._pending = {request: self._pending.get(request) or self._start(request) for request in queued}

        for request in requests[0]:
            yield finish_batch(request, self._pending.pop(request), labels_N)

    def open(self, index: int) -> Image.Image:
        """Decode an image with Pillow; each image is decoded once if all fit in memory."""
        if self._decoded is None:
            return super().open(index)
        if index not in self._decoded:
            self._decoded[index] = super().open(index)
        return self._decoded[index]

    def _start(self, request: CropRequest) -> PendingCrops:
        """Draw the boxes and submit the crops of each image to the workers."""
        indices_B, views, boxes = request.indices_B, [], []
        for view, (recipe, size, _) in enumerate(request.crops):
            draw = draws(indices_B, request.seed, request.step, view)
            boxes.append(crop_boxes(torch.from_numpy(self.shards.extents_N2[indices_B]).unbind(1), recipe, draw))
            views.append(np.empty((len(indices_B), size, size, self.channels), np.uint8))

        pending = PendingCrops(views, boxes, [])
        pending.work.extend(self.pool.submit(self._crop, request, pending, row) for row in range(len(indices_B)))
        return pending

    def _crop(self, request: CropRequest, pending: PendingCrops, row: int) -> None:
        """Crop and resize all views of one image, and write them to its row of the batch."""
        image = self.open(int(request.indices_B[row]))
        for (recipe, size, _), views_BSSC, box_B4 in zip(request.crops, pending.views, pending.boxes, strict=True):
            top, left, height, width = map(int, box_B4[row].tolist())
            crop = image.crop((left, top, left + width, top + height))
            resized = crop.resize((size, size), FILTERS[recipe.interpolation])
            views_BSSC[row] = np.asarray(resized).reshape(size, size, -1)


def finish_batch(request: CropRequest, pending: PendingCrops, labels_N: Tensor) -> Batch:
    """Wait for the views, then flip them and augment their colours on the device of the labels."""
    for work in pending.work:
        work.result()

    device = labels_N.device
    indices_B = request.indices_B
    batch = Batch([], [], [], labels_N[copy_async(torch.tensor(indices_B), device)])
    for view, (crop, views_BSSC, box_B4) in enumerate(zip(request.crops, pending.views, pending.boxes, strict=True)):
        draw = draws(indices_B, request.seed, request.step, view)
        flip_B = draw("flip") < crop.recipe.flip
        x_BCSS = copy_async(torch.from_numpy(views_BSSC), device).permute(0, 3, 1, 2).float().div_(255).contiguous()
        x_BCSS = torch.where(copy_async(flip_B, device)[:, None, None, None], x_BCSS.flip(3), x_BCSS)
        add_view(batch, x_BCSS, box_B4, flip_B, crop.recipe, draw)
    return batch
