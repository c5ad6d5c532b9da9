"""Training samples of a detector: an image of its own aspect ratio, resized by its shorter side, and its objects.

Shapes: O objects of an image of C channels and H×W pixels.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from faster_coco_eval import mask
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.augment.randomness import uniforms
from whole_in_parts.config.tasks.detection import DetectionConfig
from whole_in_parts.data import sample_order
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.distributed.collectives import local_shard
from whole_in_parts.failure import Failure


def read_annotations(shards: Shards, masks: bool) -> list[dict[str, Any]]:
    """Read the annotation of each image, in the format of `whole_in_parts/data/sources/_objects.py`.

    Raises:
        Failure: an image has no annotation, or `masks` is set and an object has no mask.
    """
    annotations = [shards.annotations.get(key, {}) for key in shards.keys]
    for key, annotation in zip(shards.keys, annotations, strict=True):
        if "boxes" not in annotation:
            raise Failure(
                f"{shards.folder}: image {key} has no annotation of objects; detection needs a dataset of source coco "
                "or voc"
            )
    if masks:
        for key, annotation in zip(shards.keys, annotations, strict=True):
            if None in annotation["masks"]:
                raise Failure(f"task.masks: {shards.folder}: an object of {key} has no mask; set masks to false")
    return annotations


class TrainingBatches:
    """Batches of the images that have an object to learn from, shuffled anew in each epoch."""

    def __init__(self, images: Images, options: DetectionConfig, device: torch.device) -> None:
        """Select the images with an object that is not a crowd.

        Raises:
            Failure: the annotation of an image or a mask is missing.
            ValueError: there are fewer such images than a batch takes.
        """
        self.images = images
        self.options = options
        self.device = device
        self.annotations = read_annotations(images.shards, options.masks)
        self.indices = np.array(
            [index for index, annotation in enumerate(self.annotations) if not all(annotation["crowd"])]
        )
        # Raises if there are too few images, before the training starts.
        sample_order.steps_per_epoch(len(self.indices), options.batch_size)

    def local_indices(self, step: int) -> NDArray[np.int64]:
        """Return the sample indices of this process's part of the batch of a step."""
        options = self.options
        return local_shard(self.indices[sample_order.batch(step, len(self.indices), options.batch_size, options.seed)])

    def batch(self, step: int) -> list[tuple[Tensor, dict[str, Tensor]]]:
        """Decode this process's images of a step on all cores and build their targets; a pure function of the step."""
        indices = self.local_indices(step)
        with ThreadPoolExecutor() as pool:
            originals = [image_CHW.to(self.device) for image_CHW in pool.map(self.images.original, indices)]
        return [
            training_sample(original_CHW, index, self.annotations[index], self.options, step)
            for original_CHW, index in zip(originals, indices, strict=True)
        ]


def training_sample(
    original_CHW: Tensor, index: int, annotation: dict[str, Any], options: DetectionConfig, step: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """Augment an image (C, H, W), to [0, 1], and its target: a random size, and a flip half of the time."""
    size, flip = (uniforms(np.array([index]), options.seed, step, name)[0] for name in ("size", "flip"))
    short = options.short_sides[int(size * len(options.short_sides))]
    image_CHW = resize(original_CHW, short, options.long_side)

    target = build_target(annotation, options.masks, original_CHW.device)
    target["boxes"] = target["boxes"] * box_scale(original_CHW, image_CHW)
    if options.masks:
        target["masks"] = F.interpolate(target["masks"][:, None], image_CHW.shape[1:])[:, 0]

    return flip_horizontally(image_CHW, target) if flip < 0.5 else (image_CHW, target)


def resize(image_CHW: Tensor, short: int, long: int) -> Tensor:
    """Scale an image to [0, 1] and resize its shorter side to `short`, or less to keep the longer within `long`."""
    sides = image_CHW.shape[1:]
    factor = min(short / min(sides), long / max(sides))
    extent = [max(1, round(side * factor)) for side in sides]
    return F.interpolate(image_CHW[None] / 255, extent, mode="bilinear", antialias=True)[0].clamp(0, 1)


def box_scale(before_CHW: Tensor, after_CHW: Tensor) -> Tensor:
    """Compute the factors (4,) that map a box from pixels of the first image to pixels of the second."""
    height, width = (after / before for after, before in zip(after_CHW.shape[1:], before_CHW.shape[1:], strict=True))
    return torch.tensor([width, height, width, height], device=after_CHW.device)


def build_target(annotation: dict[str, Any], masks: bool, device: torch.device) -> dict[str, Tensor]:
    """Build the target of the objects that are no crowds: boxes (O, 4), labels (O,) from 1, masks (O, H, W)."""
    kept = [number for number, crowd in enumerate(annotation["crowd"]) if not crowd]
    target = {
        "boxes": torch.tensor([annotation["boxes"][number] for number in kept], dtype=torch.float32),
        "labels": torch.tensor([annotation["labels"][number] + 1 for number in kept]),
    }
    if masks:
        runs = [{"size": annotation["size"], "counts": annotation["masks"][number]} for number in kept]
        target["masks"] = torch.from_numpy(mask.decode(runs)).permute(2, 0, 1)
    return {name: tensor.to(device) for name, tensor in target.items()}


def flip_horizontally(image_CHW: Tensor, target: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """Flip an image and its target horizontally."""
    left, top, right, bottom = target["boxes"].unbind(1)
    width = image_CHW.shape[2]
    boxes_O4 = torch.stack([width - right, top, width - left, bottom], 1)
    flipped = {"masks": target["masks"].flip(2)} if "masks" in target else {}
    return image_CHW.flip(2), target | {"boxes": boxes_O4} | flipped
