"""Represent an image as a bag of patches: the mean of the embeddings of its patches, for increasing numbers of patches
(I²-VICReg, sections 4.1, 4.4 and 4.5; `docs/methods.md` E.6 and E.7).

Patches are crops within a range of scales, resized to the backbone's image size, without flips or colour jitter, and
always the same for an image. `top1_<n>` is the accuracy of a linear probe on the mean embedding of n patches,
`top1_central` on the embedding of the image, and `top1` on the mean of the largest number of patches. `cosine_<n>` is
the mean cosine of the mean embedding of n patches with that of the image; `convergence.csv` has it for every n.

`windows` are patches at every `stride` pixels: `top1_windows_mean` is for the mean of their embeddings,
`top1_windows_joined` for their concatenation; `cosine_windows` and `convergence_windows.csv` compare the mean of the
first windows, in random order, with the image. With `knn`, each accuracy is beside that of kNN, as `top1_central_k20`.
Shapes: N samples, P patches, D features.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from whole_in_parts.augment.randomness import stratified
from whole_in_parts.config.analyses.bag import BagConfig, Windows
from whole_in_parts.config.evaluations import KNN
from whole_in_parts.distributed.environment import is_rank_zero
from whole_in_parts.evaluation import linear_probe
from whole_in_parts.evaluation.analyses._bags import Bags, Split, all_windows, embed_bags, embed_whole, random_patches
from whole_in_parts.evaluation.analysis import AnalysisContext
from whole_in_parts.evaluation.features import Features
from whole_in_parts.evaluation.nearest_neighbours import split_queries, votes
from whole_in_parts.failure import Failure


@torch.no_grad()
def measure(context: AnalysisContext, options: BagConfig) -> dict[str, float]:
    """Classify bags of patches, and write `convergence.csv` and, for windows, `convergence_windows.csv`.

    Raises:
        Failure: fewer training images than neighbours.
    """
    train_indices = stratified(context.train.shards.labels, options.train_subset, "bag")
    if options.knn and max(options.knn.neighbours) > len(train_indices):
        raise Failure(f"analysis.knn.neighbours: {max(options.knn.neighbours)} of {len(train_indices)} training images")
    splits = (Split(context.train, train_indices), Split(context.test, context.indices))

    # All processes embed; rank zero classifies what is embedded.
    central = [embed_whole(context, split) for split in splits]
    patches = embed_patch_bags(context, splits, central[1], options)
    windows = embed_window_bags(context, splits, central[1], options.windows) if options.windows else None
    if not is_rank_zero():
        return {}

    metrics = classify(splits, central, options, "central")
    metrics |= measure_patches(context, splits, patches, options)
    if windows:
        metrics |= measure_windows(context, splits, windows, options)
    return metrics


def embed_patch_bags(
    context: AnalysisContext, splits: Sequence[Split], whole_ND: Tensor, options: BagConfig
) -> tuple[Bags, Bags]:
    """Embed the random patches of both splits; `whole_ND` are the embeddings of the test images (a collective)."""
    patches = random_patches(options)
    train = embed_bags(context, splits[0], patches, options.patches)
    return train, embed_bags(context, splits[1], patches, options.patches, whole_ND=whole_ND)


def embed_window_bags(
    context: AnalysisContext, splits: Sequence[Split], whole_ND: Tensor, windows: Windows
) -> tuple[Bags, Bags]:
    """Embed all windows of both splits; `whole_ND` are the embeddings of the test images (a collective)."""
    patches = all_windows(windows, context.test.size)
    counts = [patches.per_image]
    if windows.feature != "global":
        whole_ND = embed_whole(context, splits[1], windows.feature)
    train = embed_bags(context, splits[0], patches, counts, windows.feature, windows.join)
    return train, embed_bags(context, splits[1], patches, counts, windows.feature, windows.join, whole_ND)


def measure_patches(
    context: AnalysisContext, splits: Sequence[Split], bags: tuple[Bags, Bags], options: BagConfig
) -> dict[str, float]:
    """Classify the means of random patches of both splits."""
    train, test = bags
    metrics: dict[str, float] = {}
    for count in options.patches:
        metrics |= classify(splits, [train.means[count], test.means[count]], options, str(count))
    metrics["top1"] = metrics[f"top1_{max(options.patches)}"]

    assert test.curve_P is not None
    write_curve(test.curve_P, context.directory / "convergence.csv")
    return metrics | {f"cosine_{count}": float(test.curve_P[count - 1]) for count in options.patches}


def measure_windows(
    context: AnalysisContext, splits: Sequence[Split], bags: tuple[Bags, Bags], options: BagConfig
) -> dict[str, float]:
    """Classify the mean and the concatenation of all windows of both splits."""
    train, test = bags
    (count,) = train.means
    metrics = classify(splits, [train.means[count], test.means[count]], options, "windows_mean")
    if train.joined is not None and test.joined is not None:
        metrics |= classify(splits, [train.joined, test.joined], options, "windows_joined")

    assert test.curve_P is not None
    write_curve(test.curve_P, context.directory / "convergence_windows.csv")
    return metrics | {"cosine_windows": float(test.curve_P[-1])}


def classify(splits: Sequence[Split], embedded: Sequence[Tensor], options: BagConfig, name: str) -> dict[str, float]:
    """Train a linear probe on the first split, and compute its top-1 and that of kNN on the second."""
    no_keys: list[str] = []
    train, test = (
        Features(no_keys, torch.from_numpy(images.shards.labels[indices]), x_ND)
        for (images, indices), x_ND in zip(splits, embedded, strict=True)
    )
    # `measure` runs without gradients.
    with torch.enable_grad():
        layer = linear_probe.train(train, len(splits[0].images.shards.classes), options.probe)
    metrics = {f"top1_{name}": linear_probe.top1(layer(test.features_ND), test.labels_N)}
    return metrics | (knn_top1(train, test, options.knn, name) if options.knn else {})


def knn_top1(train: Features, test: Features, options: KNN, name: str) -> dict[str, float]:
    """Compute the top-1 of kNN for each number of neighbours."""
    queries = split_queries(test.features_ND, len(train.labels_N))
    found = votes(train.features_ND, train.labels_N, queries, options)
    return {f"top1_{name}_k{k}": linear_probe.top1(votes_NC, test.labels_N) for k, votes_NC in found.items()}


def write_curve(curve_P: Tensor, file: Path) -> None:
    """Write the mean cosine with the whole image for every number of patches."""
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["patches", "cosine"])
        writer.writerows((number + 1, round(float(cosine), 6)) for number, cosine in enumerate(curve_P))
