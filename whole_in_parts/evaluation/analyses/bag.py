"""Represent an image as a bag of patches: the mean of the embeddings of its patches, for increasing numbers of patches
(I²-VICReg, sections 4.1, 4.4 and 4.5; `docs/methods.md` E.6 and E.7).

Patches are crops within a range of scales, resized to the backbone's image size, without flips or colour jitter, and
always the same for an image. `top1_<n>` is the accuracy of a linear probe on the mean embedding of n patches,
`top1_central` on the embedding of the image, and `top1` on the mean of the largest number of patches. `cosine_<n>` is
the mean cosine of the mean embedding of n patches with that of the image; `convergence.csv` has it for every n.

`windows` are patches at every `stride` pixels: `top1_windows_mean` is for the mean of their embeddings,
`top1_windows_joined` for their concatenation. Shapes: B images, N samples, P patches, D features.
"""

import csv
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.augment.randomness import stratified
from whole_in_parts.config.analyses.bag import BagConfig, Windows
from whole_in_parts.data.shards import Images
from whole_in_parts.evaluation import linear_probe
from whole_in_parts.evaluation.analyses._patches import crop_patches, sliding_windows
from whole_in_parts.evaluation.analysis import AnalysisContext
from whole_in_parts.evaluation.features import Features
from whole_in_parts.progress import progress

BATCH = 64

Split = tuple[Images, NDArray[np.int64]]
"""The images of a split and the indices of those that are used."""


@torch.no_grad()
def measure(context: AnalysisContext, options: BagConfig) -> dict[str, float]:
    """Evaluate linear probes on bags of patches, and write `convergence.csv`."""
    train_indices = stratified(context.train.shards.labels, options.train_subset, "bag")
    splits = ((context.train, train_indices), (context.test, context.indices))

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
    """Train a linear probe on the first split and evaluate its top-1 on the second."""
    no_keys: list[str] = []
    train, test = (
        Features(no_keys, torch.from_numpy(images.shards.labels[indices]), x_ND)
        for (images, indices), x_ND in zip(splits, embedded, strict=True)
    )
    # `measure` runs without gradients.
    with torch.enable_grad():
        layer = linear_probe.train(train, len(context.train.shards.classes), options.probe)
    return linear_probe.top1(layer(test.features_ND), test.labels_N)


def embed_global(context: AnalysisContext, images: Images, indices: NDArray[np.int64]) -> Tensor:
    """Embed whole images, (N, D)."""
    embeddings = []
    for batch_indices in batched(indices, "whole images"):
        images_BCHW = images[batch_indices].to(context.device).float() / 255
        embeddings.append(context.backbone(images_BCHW).global_BD.cpu())
    return torch.cat(embeddings)


def embed_patches(context: AnalysisContext, images: Images, indices: NDArray[np.int64], options: BagConfig) -> Tensor:
    """Embed the patches of images, (N, P, D)."""
    embeddings = []
    for batch_indices in batched(indices, "patches"):
        batch = crop_patches(images, batch_indices, options, max(options.patches), context.device)
        embeddings.append(torch.stack([context.backbone(view_BCSS).global_BD.cpu() for view_BCSS in batch.views], 1))
    return torch.cat(embeddings)


def embed_windows(context: AnalysisContext, images: Images, indices: NDArray[np.int64], options: Windows) -> Tensor:
    """Embed the windows of images, (N, P, D), row by row, resized to the image size."""
    embeddings = []
    for batch_indices in batched(indices, "windows"):
        images_BCHW = images[batch_indices].to(context.device).float() / 255
        views = sliding_windows(images_BCHW, options.size, options.stride)
        embeddings.append(torch.stack([context.backbone(view_BCSS).global_BD.cpu() for view_BCSS in views], 1))
    return torch.cat(embeddings)


def batched(indices: NDArray[np.int64], title: str) -> Iterator[NDArray[np.int64]]:
    """Yield the indices in parts of at most `BATCH`, with a progress bar."""
    yield from progress(np.array_split(indices, -(-len(indices) // BATCH)), title, unit="batch")


def converge(context: AnalysisContext, bag_NPD: Tensor, whole_ND: Tensor, counts: list[int]) -> dict[str, float]:
    """Compute the mean cosine of the image with the mean of its first n patches; write the curve over all n."""
    patches = bag_NPD.shape[1]
    means_NPD = bag_NPD.cumsum(1) / torch.arange(1, patches + 1)[:, None]
    curve_P = F.cosine_similarity(means_NPD, whole_ND[:, None], dim=2).mean(0)

    with (context.directory / "convergence.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["patches", "cosine"])
        writer.writerows((number + 1, round(float(cosine), 6)) for number, cosine in enumerate(curve_P))

    return {f"cosine_{count}": float(curve_P[count - 1]) for count in counts}
