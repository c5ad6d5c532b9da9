"""What a detector is shown: an image of its own shape, resized by its shorter side, and what is marked in it.

Shapes: O objects of an image, of C channels, H×W pixels.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from faster_coco_eval import mask
from torch import Tensor

from whole_in_parts.augment.randomness import uniforms
from whole_in_parts.config.tasks.detection import DetectionConfig
from whole_in_parts.data import sample_order
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.failure import Failure


def annotations(shards: Shards, masks: bool) -> list[dict[str, Any]]:
    """What is marked in each image, as `whole_in_parts/data/sources/_objects.py` has it.

    Raises:
        Failure: nothing says so for some image, or there are to be masks and an object has none.
    """
    found = [shards.annotations.get(key, {}) for key in shards.keys]
    if absent := [key for key, each in zip(shards.keys, found, strict=True) if "boxes" not in each]:
        raise Failure(
            f"{shards.folder}: nothing says where the objects of {absent[0]} are; detection needs a dataset of source "
            "coco or voc"
        )
    if masks and (plain := [key for key, each in zip(shards.keys, found, strict=True) if None in each["masks"]]):
        raise Failure(
            f"task.masks: {shards.folder}: an object of {plain[0]} has no mask; with masks false none is needed"
        )
    return found


class Course:
    """What a training is shown: those images in which there is something to be learnt, in an order of each epoch."""

    def __init__(self, images: Images, options: DetectionConfig, device: torch.device) -> None:
        """
        Raises:
            Failure: nothing says where objects are, or what their masks are.
            ValueError: fewer images have an object than a batch takes.
        """
        self.images, self.options, self.device = images, options, device
        self.marked = annotations(images.shards, options.masks)
        self.indices = np.array([number for number, each in enumerate(self.marked) if not all(each["crowd"])])
        sample_order.steps_per_epoch(len(self.indices), options.batch_size)

    def batch(self, step: int) -> list[tuple[Tensor, dict[str, Tensor]]]:
        """Images, decoded on all cores, and their targets: a pure function of the step."""
        chosen = self.indices[sample_order.batch(step, len(self.indices), self.options.batch_size, self.options.seed)]
        with ThreadPoolExecutor() as pool:
            originals = [image_CHW.to(self.device) for image_CHW in pool.map(self.images.original, chosen)]
        return [
            shown(original_CHW, number, self.marked[number], self.options, step)
            for original_CHW, number in zip(originals, chosen, strict=True)
        ]


def shown(
    original_CHW: Tensor, number: int, marked: dict[str, Any], options: DetectionConfig, step: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """An image (C, H, W) in [0, 1] and its target, as a step of the training sees them: any size, half mirrored."""
    size, flip = (uniforms(np.array([number]), options.seed, step, name)[0] for name in ("size", "flip"))
    short = options.short_sides[int(size * len(options.short_sides))]
    image_CHW = resized(original_CHW, short, options.long_side)
    goal = target(marked, options.masks, original_CHW.device)
    goal["boxes"] = goal["boxes"] * scale(original_CHW, image_CHW)
    if options.masks:
        goal["masks"] = F.interpolate(goal["masks"][:, None], image_CHW.shape[1:])[:, 0]
    return mirrored(image_CHW, goal) if flip < 0.5 else (image_CHW, goal)


def resized(image_CHW: Tensor, short: int, long: int) -> Tensor:
    """An image in [0, 1] whose shorter side is `short`, or less where the longer one would be above `long`."""
    sides = image_CHW.shape[1:]
    scale = min(short / min(sides), long / max(sides))
    extent = [max(1, round(side * scale)) for side in sides]
    return F.interpolate(image_CHW[None] / 255, extent, mode="bilinear", antialias=True)[0].clamp(0, 1)


def scale(before_CHW: Tensor, after_CHW: Tensor) -> Tensor:
    """What a box (4,) in one image is to be multiplied by to be that in the other one."""
    height, width = (after / before for after, before in zip(after_CHW.shape[1:], before_CHW.shape[1:], strict=True))
    return torch.tensor([width, height, width, height], device=after_CHW.device)


def target(marked: dict[str, Any], masks: bool, device: torch.device) -> dict[str, Tensor]:
    """The objects of an image that are to be learnt, which no crowds are: boxes (O, 4), labels and masks (O, H, W)."""
    kept = [number for number, crowd in enumerate(marked["crowd"]) if not crowd]
    found = {
        "boxes": torch.tensor([marked["boxes"][number] for number in kept], dtype=torch.float32),
        "labels": torch.tensor([marked["labels"][number] + 1 for number in kept]),
    }
    if masks:
        runs = [{"size": marked["size"], "counts": marked["masks"][number]} for number in kept]
        found["masks"] = torch.from_numpy(mask.decode(runs)).permute(2, 0, 1)
    return {name: tensor.to(device) for name, tensor in found.items()}


def mirrored(image_CHW: Tensor, goal: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """An image and its target, left and right exchanged."""
    left, top, right, bottom = goal["boxes"].unbind(1)
    width = image_CHW.shape[2]
    boxes_O4 = torch.stack([width - right, top, width - left, bottom], 1)
    flipped = {"masks": goal["masks"].flip(2)} if "masks" in goal else {}
    return image_CHW.flip(2), goal | {"boxes": boxes_O4} | flipped
