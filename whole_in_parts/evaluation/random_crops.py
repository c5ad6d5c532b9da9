"""Random crops of training images, as fine-tuning and the offline probes of the papers train on them.

Shapes: B images, C channels, S×S pixels, N images.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.augment.views import Crop
from whole_in_parts.config.views import View
from whole_in_parts.data import sample_order
from whole_in_parts.data.shards import Images
from whole_in_parts.distributed.collectives import local_shard

TRAIN_CROP = View(crop_scale=(0.08, 1.0), jitter=0.0, greyscale=0.0)
"""The augmentation of ImageNet classifiers: a random resized crop, flipped horizontally half of the time."""


def random_crops(
    images: Images, indices_N: NDArray[np.int64], batch_size: int, seed: int, steps: range, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield this process's part of the random crops (B, C, S, S) in [0, 1] and of the labels (B,), for each step.

    Images are cropped at their original size; those of the next steps are decoded and cropped ahead. A step is always
    the same, whichever is the first of `steps`.

    Raises:
        ValueError: there are fewer images than `batch_size`.
    """
    labels_N = torch.from_numpy(images.shards.labels).to(device)
    crops = [Crop(TRAIN_CROP, images.size)]

    def pieces(step: int) -> list[NDArray[np.int64]]:
        return [local_shard(indices_N[sample_order.batch(step, len(indices_N), batch_size, seed)])]

    for step in steps:
        (batch,) = images.batches(labels_N, crops, pieces, seed, range(step, steps.stop))
        yield batch.views[0], batch.labels_B
