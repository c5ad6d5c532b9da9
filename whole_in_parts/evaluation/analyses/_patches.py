"""Crop patches of images and embed them in the spaces that analyses compare.

Shapes: B images, C channels, H×W pixels, S×S pixels of a patch, D dimensions, N images to analyse.
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


def crop_patches(
    images: Images, indices: NDArray[np.int64], options: BagConfig | NeighboursConfig, count: int, device: torch.device
) -> Batch:
    """Crop `count` patches, with their boxes, of each indexed image at `options.scale` and `options.ratio`.

    Crops are not flipped or colour-jittered, are resized to the image size and are always the same for an image.
    """
    view = View(crop_scale=options.scale, ratio=options.ratio, flip=0, jitter=0, greyscale=0)
    return make_batch(images[indices].to(device), torch.empty(0), [Crop(view, images.size)] * count, indices, 0, 0)


def sliding_windows(images_BCHW: Tensor, size: int, stride: int) -> list[Tensor]:
    """Cut windows (B, C, H, W) out of a batch, row by row, and resize them to the size of the images."""
    image_size = images_BCHW.shape[2:]
    starts = range(0, images_BCHW.shape[-1] - size + 1, stride)
    return [
        F.interpolate(
            images_BCHW[:, :, row : row + size, column : column + size], image_size, mode="bilinear", antialias=True
        )
        for row in starts
        for column in starts
    ]


def embed_in_spaces(context: AnalysisContext, images_BCHW: Tensor) -> dict[str, Tensor]:
    """Compute unit vectors (B, D) of images in the `embedding`, the backbone's output, and in the `projection`, the
    input of the loss.

    A method without a projector (supervised, random) has the embedding alone, so that analyses can compare such a run
    with the others. For a method whose target network is evaluated, such as DINO, the projector is that of the online
    network, of which the target's is a moving average.
    """
    global_BD = context.backbone(images_BCHW).global_BD
    projected_BD = context.method.project(global_BD)
    vectors = {"embedding": global_BD} | ({} if projected_BD is global_BD else {"projection": projected_BD})
    return {space: F.normalize(x_BD).cpu() for space, x_BD in vectors.items()}


def sort_by_class(context: AnalysisContext) -> NDArray[np.int64]:
    """Sort the indices (N,) of the images to analyse by class.

    Raises:
        Failure: there is only one image.
    """
    if len(context.indices) < 2:
        raise Failure("subset: this analysis compares images, and there is only one; raise it")
    return context.indices[np.argsort(context.test.shards.labels[context.indices], kind="stable")]


def evenly_spaced(items: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Select at most `count` positions of an array, the middles of equal parts."""
    return np.unique(((np.arange(count) + 0.5) / count * len(items)).astype(np.int64))
