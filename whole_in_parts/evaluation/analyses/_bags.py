"""Embed images as bags of patches: patches are cut, embedded and summed one after another, so that memory holds one
patch of each image of a batch, whatever the number of patches.

Shapes: N images of a split, B of a batch, C channels, H×W pixels, P patches of an image, D features of a patch,
F values of a bag.
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
from whole_in_parts.distributed.sharing import share_rows
from whole_in_parts.evaluation.analyses._patches import count_windows, crop_patch, sliding_windows, to_unit_range
from whole_in_parts.evaluation.analysis import AnalysisContext
from whole_in_parts.evaluation.features import iter_rows
from whole_in_parts.models.backbone import Backbone

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
    """The bags of a split, or of a batch.

    `means` are those (N, D) of the first n patches, by n. If asked for, `joined` (N, P · D) is the concatenation of all
    patches, and `cosine_NP` the cosine of the mean of the first 1, 2, … patches with the whole image.
    """

    means: dict[int, Tensor]
    joined: Tensor | None
    cosine_NP: Tensor | None

    @property
    def curve_P(self) -> Tensor | None:
        """The cosine for each number of patches, a mean over images."""
        return None if self.cosine_NP is None else self.cosine_NP.double().mean(0)


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
    """Embed the patches of a split; processes share the images, and each gets all bags (a collective).

    Args:
        counts: the numbers of patches to average over.
        join: concatenate the embeddings of all patches, in the order of their numbers.
        whole_ND: the embeddings of the whole images, for the curve.
    """
    width = feature_width(context.backbone, feature)
    widths = [width] * len(counts)
    widths += [width * patches.per_image] if join else []
    widths += [patches.per_image] if whole_ND is not None else []

    def as_bags(rows_NF: Tensor) -> Bags:
        parts = iter(rows_NF.split(widths, 1))
        means = {count: next(parts) for count in counts}
        return Bags(means, next(parts) if join else None, None if whole_ND is None else next(parts))

    def compute(rows_B: NDArray[np.int64]) -> Tensor:
        indices_B = split.indices[rows_B]
        images_BCHW = to_unit_range(split.images[indices_B], context.device)
        whole_BD = None if whole_ND is None else whole_ND[rows_B]
        rows_BF = torch.empty(len(rows_B), sum(widths))
        fill_bags(as_bags(rows_BF), context.backbone, patches.cut(images_BCHW, indices_B), feature, whole_BD)
        return rows_BF

    # Filled batch by batch: joined embeddings may take most of the memory.
    rows_NF = torch.empty(len(split.indices), sum(widths))
    start = 0
    for rows_BF in share_rows(compute, np.arange(len(split.indices)), BATCH, patches.name):
        rows_NF[start : start + len(rows_BF)] = rows_BF
        start += len(rows_BF)
    return as_bags(rows_NF)


def fill_bags(
    bags: Bags,
    backbone: Backbone,
    views: Iterator[tuple[NDArray[np.int64], Tensor]],
    feature: Feature,
    whole_BD: Tensor | None,
) -> None:
    """Embed one patch of each image of a batch after another, and write what the bags ask for into their tensors."""
    sum_BD = torch.zeros_like(next(iter(bags.means.values())))
    joined_BPD = None if bags.joined is None else bags.joined.unflatten(1, (-1, sum_BD.shape[1]))
    rows_B = np.arange(len(sum_BD))

    for taken, (numbers_B, view_BCHW) in enumerate(views, start=1):
        x_BD = embed(backbone, view_BCHW, feature).cpu()
        sum_BD += x_BD
        if taken in bags.means:
            bags.means[taken][:] = sum_BD / taken
        if joined_BPD is not None:
            joined_BPD[rows_B, numbers_B] = x_BD
        if bags.cosine_NP is not None and whole_BD is not None:
            # The cosine of a sum is that of the mean.
            bags.cosine_NP[:, taken - 1] = F.cosine_similarity(sum_BD, whole_BD)


def embed_whole(context: AnalysisContext, split: Split, feature: Feature = "global") -> Tensor:
    """Embed whole images, (N, D); processes share them, and each gets all embeddings (a collective)."""

    def compute(_: NDArray[np.int64], images_BCHW: Tensor) -> Tensor:
        return embed(context.backbone, images_BCHW, feature)

    rows = iter_rows(compute, split.images, split.indices, context.device, "whole images", BATCH)
    return torch.cat(list(rows))


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
