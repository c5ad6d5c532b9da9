"""Embed images as bags of patches: patches are cut, embedded and summed one after another, so that memory holds one
patch of each image of a batch, whatever the number of patches.

Shapes: N images of a split, B of a batch, C channels, H×W pixels, P patches of an image, D features of a patch.
"""

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.augment.randomness import uniforms
from whole_in_parts.config.analyses.bag import BagConfig, Feature, Windows
from whole_in_parts.data.shards import Images
from whole_in_parts.evaluation.analyses._patches import count_windows, crop_patch, sliding_windows, to_unit_range
from whole_in_parts.evaluation.analysis import AnalysisContext
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.progress import progress

BATCH = 64


class Split(NamedTuple):
    """The images of a split and the indices (N,) of those that are used."""

    images: Images
    indices: NDArray[np.int64]


class Patches(NamedTuple):
    """A way to cut patches: a name, their number per image, and a function of a batch of images and their indices,
    which yields one patch of each image at a time with its number, (B,) and (B, C, H, W).
    """

    name: str
    per_image: int
    cut: Callable[[Tensor, NDArray[np.int64]], Iterator[tuple[NDArray[np.int64], Tensor]]]


class Bags(NamedTuple):
    """The bags of a split.

    `means` are those (N, D) of the first n patches, by n. If asked for, `joined` (N, P · D) is the concatenation of all
    patches, and `curve_P` the cosine of the mean of the first 1, 2, … patches with the whole image, a mean over images.
    """

    means: dict[int, Tensor]
    joined: Tensor | None
    curve_P: Tensor | None


def random_patches(options: BagConfig) -> Patches:
    """Cut random patches, always the same for an image."""
    count = max(options.patches)

    def cut(images_BCHW: Tensor, indices: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        for number in range(count):
            yield np.full(len(indices), number), crop_patch(images_BCHW, indices, options, number)[0]

    return Patches("patches", count, cut)


def all_windows(options: Windows, image_size: int) -> Patches:
    """Cut the windows of a grid, in an order that is random and always the same for an image."""
    count = count_windows(image_size, options.size, options.stride)

    def cut(images_BCHW: Tensor, indices: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        order_BP = np.argsort(uniforms(indices[:, None] * count + np.arange(count), "windows"), axis=1)
        yield from zip(order_BP.T, sliding_windows(images_BCHW, options.size, options.stride, order_BP), strict=True)

    return Patches("windows", count, cut)


def embed_bags(
    context: AnalysisContext,
    split: Split,
    patches: Patches,
    counts: Collection[int],
    feature: Feature = "global",
    join: bool = False,
    whole_ND: Tensor | None = None,
) -> Bags:
    """Embed the patches of a split.

    Args:
        counts: the numbers of patches to average over.
        join: concatenate the embeddings of all patches, in the order of their numbers.
        whole_ND: the embeddings of the whole images, for the curve.
    """
    samples = len(split.indices)
    width = feature_width(context.backbone, feature)
    means = {count: torch.empty(samples, width) for count in counts}
    joined_NPD = torch.empty(samples, patches.per_image, width) if join else None
    curve_P = None if whole_ND is None else torch.zeros(patches.per_image, dtype=torch.float64)

    for rows, indices, images_BCHW in iter_images(context, split, patches.name):
        sum_BD = torch.zeros(len(indices), width, device=context.device)
        for taken, (numbers_B, view_BCHW) in enumerate(patches.cut(images_BCHW, indices), start=1):
            x_BD = embed(context.backbone, view_BCHW, feature)
            sum_BD += x_BD
            if taken in means:
                means[taken][rows] = (sum_BD / taken).cpu()
            if joined_NPD is not None:
                joined_NPD[rows, numbers_B] = x_BD.cpu()
            if curve_P is not None and whole_ND is not None:
                # The cosine of a sum is that of the mean.
                curve_P[taken - 1] += F.cosine_similarity(sum_BD.cpu(), whole_ND[rows]).double().sum()

    joined_NF = None if joined_NPD is None else joined_NPD.flatten(1)
    return Bags(means, joined_NF, None if curve_P is None else curve_P / samples)


def embed_whole(context: AnalysisContext, split: Split, feature: Feature = "global") -> Tensor:
    """Embed whole images, (N, D)."""
    batches = iter_images(context, split, "whole images")
    return torch.cat([embed(context.backbone, images_BCHW, feature).cpu() for _, _, images_BCHW in batches])


def embed(backbone: Backbone, images_BCHW: Tensor, feature: Feature) -> Tensor:
    """Compute a feature (B, D) of images: the global representation, or the last map pooled to 2×2 positions.

    On the map of 5×5 positions of I²-VICReg's Table 5 the latter is its average pooling of window 3 and stride 2.
    """
    representations = backbone(images_BCHW)
    if feature == "global":
        return representations.global_BD
    return F.adaptive_avg_pool2d(representations.local_BCNN, 2).flatten(1)


def feature_width(backbone: Backbone, feature: Feature) -> int:
    """Return the number of dimensions of a feature."""
    return backbone.features if feature == "global" else 4 * backbone.local_features


def iter_images(
    context: AnalysisContext, split: Split, title: str
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], Tensor]]:
    """Yield batches of at most `BATCH`: their rows in the split (B,), their indices (B,) and images in [0, 1]."""
    batches = np.array_split(np.arange(len(split.indices)), -(-len(split.indices) // BATCH))
    for rows_B in progress(batches, title, unit="batch"):
        indices_B = split.indices[rows_B]
        yield rows_B, indices_B, to_unit_range(split.images[indices_B], context.device)
