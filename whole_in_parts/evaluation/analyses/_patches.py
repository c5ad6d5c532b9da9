"""Patches of images, and the spaces in which analyses compare them.

Shapes: B images, C channels, H×W pixels, S×S of a patch, D dimensions, N images to look at.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.augment.views import Batch, Crop, make_batch
from whole_in_parts.config.analyses.bag import BagConfig
from whole_in_parts.config.analyses.neighbours import NeighboursConfig
from whole_in_parts.config.views import View
from whole_in_parts.data.shards import Images
from whole_in_parts.evaluation.analysis import AnalysisContext
from whole_in_parts.failure import Failure


def patches(
    images: Images, some: NDArray[np.int64], options: BagConfig | NeighboursConfig, count: int, device: torch.device
) -> Batch:
    """`count` patches of each of some images, with their boxes: crops of `options.scale` and `options.ratio` without
    flips or colours, the same ones each time, brought to the image size.
    """
    patch = View(crop_scale=options.scale, ratio=options.ratio, flip=0, jitter=0, greyscale=0)
    return make_batch(images[some].to(device), torch.empty(0), [Crop(patch, images.size)] * count, some, 0, 0)


def windows(images_BCHW: Tensor, size: int, stride: int) -> list[Tensor]:
    """Each window of a batch, row by row, brought to the size of the images."""
    starts = range(0, images_BCHW.shape[-1] - size + 1, stride)
    extent = images_BCHW.shape[2:]
    return [
        F.interpolate(
            images_BCHW[:, :, row : row + size, column : column + size], extent, mode="bilinear", antialias=True
        )
        for row in starts
        for column in starts
    ]


def spaces(context: AnalysisContext, images_BCHW: Tensor) -> dict[str, Tensor]:
    """The unit vectors (B, D) of images in the `embedding`, which the backbone gives, and in the `projection`, which
    the loss compares.

    A method without a projector (supervised, random) has the embedding alone: an analysis shows that, so that such a
    run can stand beside the others. Where the target network is kept, as DINO's, the projector is the online one, which
    the target's follows.
    """
    global_BD = context.backbone(images_BCHW).global_BD
    projected_BD = context.method.project(global_BD)
    found = {"embedding": global_BD} | ({} if projected_BD is global_BD else {"projection": projected_BD})
    return {space: F.normalize(x_BD).cpu() for space, x_BD in found.items()}


def by_class(context: AnalysisContext) -> NDArray[np.int64]:
    """The numbers (N,) of the images to look at, class after class.

    Raises:
        Failure: there is only one.
    """
    if len(context.indices) < 2:
        raise Failure("subset: this analysis compares images, and there is only one")
    return context.indices[np.argsort(context.test.shards.labels[context.indices], kind="stable")]


def spread(indices: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """At most `count` places among some numbers: the middles of equal parts."""
    return np.unique(((np.arange(count) + 0.5) / count * len(indices)).astype(np.int64))
