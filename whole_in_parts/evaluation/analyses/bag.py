"""An image as a bag of patches: the mean of their embeddings, and how soon it says what the whole does (I²-VICReg,
sections 4.1, 4.4 and 4.5; `methods.md` E.6 and E.7).

Patches are crops of one range of scales, brought to the backbone's image size, without flips or colours, the same ones
each time. `top1_<n>` is a linear probe on the mean of n embeddings, `top1_central` on that of the image itself;
`cosine_<n>` is how like the mean of n is to that of the image, and `convergence.csv` has the whole curve.

`windows` are patches at every `stride` pixels: `top1_windows_mean` is of their mean, `top1_windows_joined` of all
of them one after the other. `top1` is that of the most patches. Shapes: B images, N samples, P patches, D features.
"""

import csv
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.augment.randomness import stratified
from whole_in_parts.config.analyses.bag import BagConfig, Windows
from whole_in_parts.data.shards import Images
from whole_in_parts.evaluation import linear_probe
from whole_in_parts.evaluation.analyses._patches import patches, windows
from whole_in_parts.evaluation.analysis import AnalysisContext
from whole_in_parts.evaluation.features import Features
from whole_in_parts.progress import progress

BATCH = 64

Split = tuple[Images, NDArray[np.int64]]
"""The images of a split and the indices of those that are used."""


@torch.no_grad()
def measure(context: AnalysisContext, options: BagConfig) -> dict[str, float]:
    learns = stratified(context.train.shards.labels, options.train_subset, "bag")
    splits = ((context.train, learns), (context.test, context.indices))
    central = [embed_global(context, *split) for split in splits]
    metrics = {"top1_central": probe(context, splits, central, options)}
    bags = [embed_patches(context, *split, options) for split in splits]
    for count in options.patches:
        metrics[f"top1_{count}"] = probe(context, splits, [bag_NPD[:, :count].mean(1) for bag_NPD in bags], options)
    metrics["top1"] = metrics[f"top1_{max(options.patches)}"]
    metrics |= converge(context, bags[1], central[1], options.patches)
    if options.windows:
        bags = [embed_windows(context, *split, options.windows) for split in splits]
        metrics["top1_windows_mean"] = probe(context, splits, [bag_NPD.mean(1) for bag_NPD in bags], options)
        metrics["top1_windows_joined"] = probe(context, splits, [bag_NPD.flatten(1) for bag_NPD in bags], options)
    return metrics


def probe(context: AnalysisContext, splits: Sequence[Split], embedded: list[Tensor], options: BagConfig) -> float:
    """Top-1 of a linear probe, trained on the first and tested on the second."""
    keys: list[str] = []
    seen, unseen = (
        Features(keys, torch.from_numpy(images.shards.labels[indices]), x_ND)
        for (images, indices), x_ND in zip(splits, embedded, strict=True)
    )
    with torch.enable_grad():
        layer = linear_probe.train(seen, len(context.train.shards.classes), options.probe)
    return linear_probe.top1(layer(unseen.features_ND), unseen.labels_N)


def embed_global(context: AnalysisContext, images: Images, indices: NDArray[np.int64]) -> Tensor:
    """The embeddings (N, D) of whole images."""
    chunks = progress(np.array_split(indices, -(-len(indices) // BATCH)), "whole images", unit="batch")
    return torch.cat(
        [context.backbone(images[some].to(context.device).float() / 255).global_BD.cpu() for some in chunks]
    )


def embed_patches(context: AnalysisContext, images: Images, indices: NDArray[np.int64], options: BagConfig) -> Tensor:
    """The embeddings (N, P, D) of the patches of images."""
    found = []
    for some in progress(np.array_split(indices, -(-len(indices) // BATCH)), "patches", unit="batch"):
        batch = patches(images, some, options, max(options.patches), context.device)
        found.append(torch.stack([context.backbone(view_BCSS).global_BD.cpu() for view_BCSS in batch.views], 1))
    return torch.cat(found)


def embed_windows(context: AnalysisContext, images: Images, indices: NDArray[np.int64], options: Windows) -> Tensor:
    """The embeddings (N, P, D) of windows, row by row, each resized to the image size."""
    found = []
    for some in progress(np.array_split(indices, -(-len(indices) // BATCH)), "windows", unit="batch"):
        views = windows(images[some].to(context.device).float() / 255, options.size, options.stride)
        found.append(torch.stack([context.backbone(view_BCSS).global_BD.cpu() for view_BCSS in views], 1))
    return torch.cat(found)


def converge(context: AnalysisContext, bag_NPD: Tensor, whole_ND: Tensor, counts: list[int]) -> dict[str, float]:
    """The mean cosine of the whole with the mean of the first n patches, for each n; written in full."""
    patches = bag_NPD.shape[1]
    means_NPD = bag_NPD.cumsum(1) / torch.arange(1, patches + 1)[:, None]
    curve_P = F.cosine_similarity(means_NPD, whole_ND[:, None], dim=2).mean(0)
    with (context.directory / "convergence.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["patches", "cosine"])
        writer.writerows((number + 1, round(float(cosine), 6)) for number, cosine in enumerate(curve_P))
    return {f"cosine_{count}": float(curve_P[count - 1]) for count in counts}
