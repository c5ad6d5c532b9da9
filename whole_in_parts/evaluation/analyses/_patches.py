"""Crop patches of images and embed them in the spaces that analyses compare.

Shapes: B images, C channels, H×W pixels, R×Q windows of S×S pixels on a grid, P windows in all, D dimensions, N images
to analyse.
"""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.augment.resampling import crop
from whole_in_parts.augment.views import crop_boxes, draws
from whole_in_parts.config.analyses.bag import BagConfig
from whole_in_parts.config.analyses.neighbours import NeighboursConfig
from whole_in_parts.config.views import View
from whole_in_parts.evaluation.analysis import AnalysisContext
from whole_in_parts.failure import Failure


def to_unit_range(images_BCHW: Tensor, device: torch.device) -> Tensor:
    """Convert images from uint8 to [0, 1] on the device."""
    return images_BCHW.to(device).float().div_(255)


def crop_patch(
    images_BCHW: Tensor, indices: NDArray[np.int64], options: BagConfig | NeighboursConfig, number: int
) -> tuple[Tensor, Tensor]:
    """Crop patch `number` of every image in [0, 1] at `options.scale` and `options.ratio`.

    A patch depends on its number and on the index of its image alone, so that patches can be made one after another. It
    is neither flipped nor colour-jittered.

    Returns:
        The patches (B, C, H, W), resized to the size of the images, and their boxes (B, 4): top, left, height, width.
    """
    view = View(crop_scale=options.scale, ratio=options.ratio, flip=0, jitter=0, greyscale=0)
    box_B4 = crop_boxes(images_BCHW.shape[2:], view, draws(indices, 0, 0, number))
    no_flip_B = torch.zeros(len(indices), dtype=torch.bool)
    return crop(images_BCHW, box_B4, images_BCHW.shape[-1], no_flip_B, view.interpolation), box_B4


def count_windows(image_size: int, size: int, stride: int) -> int:
    """Count the windows of an image."""
    return ((image_size - size) // stride + 1) ** 2


def sliding_windows(
    images_BCHW: Tensor, size: int, stride: int, order_BP: NDArray[np.int64] | None = None
) -> Iterator[Tensor]:
    """Yield windows (B, C, H, W), one of each image at a time, resized to the size of the images.

    Args:
        order_BP: the order in which the windows of each image are cut, by their numbers on the grid; row by row if
            left out.
    """
    # Views of the images, so that no more than the yielded windows take memory.
    grid_BCRQSS = images_BCHW.unfold(2, size, stride).unfold(3, size, stride)
    columns = grid_BCRQSS.shape[3]
    rows_B = torch.arange(len(images_BCHW))
    for number in range(grid_BCRQSS.shape[2] * columns):
        window_B = torch.full_like(rows_B, number) if order_BP is None else torch.from_numpy(order_BP[:, number])
        windows_BCSS = grid_BCRQSS[rows_B, :, window_B // columns, window_B % columns]
        yield F.interpolate(windows_BCSS, images_BCHW.shape[2:], mode="bilinear", antialias=True)


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


def space_widths(context: AnalysisContext) -> dict[str, int]:
    """Return the number of dimensions of each space of `embed_in_spaces`."""
    image_1CHW = torch.zeros(1, context.test.channels, context.test.size, context.test.size, device=context.device)
    return {space: x_1D.shape[1] for space, x_1D in embed_in_spaces(context, image_1CHW).items()}


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
