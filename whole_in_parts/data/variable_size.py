"""Views cut from images of many sizes, each as it is in the shards: the crops of the papers.

Workers decode an image once, and cut and resize all its views, in Pillow, as torchvision does; they do so for the next
steps while one is taken. Flips, colours and blur are made for the whole batch, on the model's device. What is drawn is
what `views.py` draws, so that nothing depends on the number of workers or on what was begun before.

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
from whole_in_parts.augment.colours import augment_colours
from whole_in_parts.augment.views import Batch, Crop, crop_boxes, draws
from whole_in_parts.data.shards import HELD_IN_MEMORY, Images, Shards

AHEAD = 2
"""For how many steps views are cut beforehand."""
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


class CropRequest(NamedTuple):
    """What views are a function of: the sample numbers (as bytes, to be compared), crops, seed and step."""

    indices: bytes
    crops: tuple[Crop, ...]
    seed: int
    step: int

    @property
    def indices_B(self) -> NDArray[np.int64]:
        return np.frombuffer(self.indices, np.int64)


class PendingCrops(NamedTuple):
    """What workers are at: for each crop the views (B, S, S, C) in uint8, not mirrored, and the boxes (B, 4)."""

    views: list[NDArray[np.uint8]]
    boxes: list[Tensor]
    work: list[Future]


def for_training(shards: Shards, size: int, channels: int, device: torch.device) -> Images:
    """The images of a split to train on: `VariableSizeImages`, but where all are of the size already."""
    kind = Images if (shards.extents_N2 == size).all() else VariableSizeImages
    return kind(shards, size, channels, device=device)


class VariableSizeImages(Images):
    """Images of many sizes; by number they are cut to the middle square, views are cut from the whole of them.

    One box cannot serve images of many sizes: crops that are `uniform` are made of the squares (`views.py`).
    """

    def __init__(
        self,
        shards: Shards,
        size: int,
        channels: int,
        interpolation: str = "bilinear",
        device: torch.device = torch.device("cpu"),  # noqa: B008
    ):
        super().__init__(shards, size, channels, interpolation, device)
        pixels = int(self.shards.extents_N2.prod(1).sum())
        self._opened: dict[int, Image.Image] | None = {} if pixels * self.channels <= HELD_IN_MEMORY else None
        self._begun: dict[CropRequest, PendingCrops] = {}

    def batches(
        self,
        labels_N: Tensor,
        crops: Sequence[Crop],
        pieces: Callable[[int], list[NDArray[np.int64]]],
        seed: int,
        steps: range,
    ) -> Iterator[Batch]:
        """The batches of the first of some steps; with it, the views of the others are begun.

        Args:
            labels_N: on the device that the batches are to be on.
            pieces: the sample numbers (B,) of each batch of a step.
        """
        request = [
            [CropRequest(np.int64(indices).tobytes(), tuple(crops), seed, step) for indices in pieces(step)]
            for step in steps
        ]
        asked = [one for several in request for one in several]
        self._begun = {one: self._begun.get(one) or self._begin(one) for one in asked}
        for one in request[0]:
            yield finish(one, self._begun.pop(one), labels_N)

    def open(self, number: int) -> Image.Image:
        """One image as Pillow has it; it is decoded once where all fit in memory."""
        if self._opened is None:
            return super().open(number)
        if number not in self._opened:
            self._opened[number] = super().open(number)
        return self._opened[number]

    def _begin(self, request: CropRequest) -> PendingCrops:
        """Draw the boxes, and let the workers cut."""
        indices_B, views, boxes = request.indices_B, [], []
        for view, (recipe, size, _) in enumerate(request.crops):
            draw = draws(indices_B, request.seed, request.step, view)
            boxes.append(crop_boxes(torch.from_numpy(self.shards.extents_N2[indices_B]).unbind(1), recipe, draw))
            views.append(np.empty((len(indices_B), size, size, self.channels), np.uint8))
        pending = PendingCrops(views, boxes, [])
        pending.work.extend(self.pool.submit(self._cut, request, pending, place) for place in range(len(indices_B)))
        return pending

    def _cut(self, request: CropRequest, pending: PendingCrops, place: int) -> None:
        """Cut all views of one image of a batch."""
        image = self.open(int(request.indices_B[place]))
        for (recipe, size, _), views_BSSC, box_B4 in zip(request.crops, pending.views, pending.boxes, strict=True):
            top, left, height, width = map(int, box_B4[place].tolist())
            part = image.crop((left, top, left + width, top + height))
            resized = part.resize((size, size), FILTERS[recipe.interpolation])
            views_BSSC[place] = np.asarray(resized).reshape(size, size, -1)


def finish(request: CropRequest, pending: PendingCrops, labels_N: Tensor) -> Batch:
    """Wait for the views, mirror them and change their colours, on the device of the labels."""
    for work in pending.work:
        work.result()
    device, indices_B = labels_N.device, request.indices_B
    batch = Batch([], [], [], labels_N[copy_async(torch.tensor(indices_B), device)])
    for view, (crop, views_BSSC, box_B4) in enumerate(zip(request.crops, pending.views, pending.boxes, strict=True)):
        draw = draws(indices_B, request.seed, request.step, view)
        flip_B = draw("flip") < crop.recipe.flip
        x_BCSS = copy_async(torch.from_numpy(views_BSSC), device).permute(0, 3, 1, 2).float().div_(255).contiguous()
        x_BCSS = torch.where(copy_async(flip_B, device)[:, None, None, None], x_BCSS.flip(3), x_BCSS)
        batch.views.append(augment_colours(x_BCSS, crop.recipe, draw))
        batch.boxes.append(box_B4)
        batch.flips.append(flip_B)
    return batch
