"""Compare LoGo's learned affinity with the cosine of the same embeddings (Zhang et al., 2022, section 5.2 and Figure 3;
`docs/methods.md` A.14).

Both measures are evaluated on pairs of local crops, augmented as in the training: pairs from one image and pairs from
two different images. `auroc_<measure>` is the area under the ROC curve of classifying pairs of one image against pairs
of two (1 is perfect, 0.5 is chance); `<measure>_same` and `<measure>_different` are the means of the measure. The mean
affinity is a probability, the sigmoid of the logit; all other metrics use the logit. `pearson` and `spearman` are the
correlations of logit and cosine over all pairs, which `affinity.png` plots.

`crops.parquet` has the scores of each crop of the first images beside the first crop, and `crops.png` the crops with
bars, as in Figure 3: the affinity as a probability, and the cosine.

The affinity's batch norms use the running statistics of the training. Batch statistics would separate the two kinds of
pairs by themselves, since a training batch has pairs of one kind. The paper shows a few crops and no numbers.

Shapes: N images, P pairs per image, C crops, M pairs in all, D dimensions.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor

from whole_in_parts.augment.randomness import permutation
from whole_in_parts.augment.views import Crop, make_batch
from whole_in_parts.config.analyses.affinity import AffinityConfig
from whole_in_parts.distributed.environment import is_rank_zero
from whole_in_parts.distributed.sharing import share_rows
from whole_in_parts.evaluation.analyses._patches import sort_by_class
from whole_in_parts.evaluation.analyses._pictures import QUERY, SAME, hide_axes, save_png, to_pixels
from whole_in_parts.evaluation.analysis import AnalysisContext
from whole_in_parts.modifiers.logo import Affinity, LoGo

BATCH = 64
SHOWN = 2000
"""The most pairs of a kind that the figure shows."""


class PairScores(NamedTuple):
    """The affinity logits (M,) and cosines (M,) of pairs."""

    logit_M: Tensor
    cosine_M: Tensor


@torch.no_grad()
def measure(context: AnalysisContext, options: AffinityConfig) -> dict[str, float]:
    """Compare affinity and cosine, and write `affinity.png`.

    Raises:
        TypeError: the method was trained without LoGo.
    """
    if not isinstance(context.method, LoGo):
        raise TypeError(f"affinity: takes a method with the modifier logo, got {type(context.method).__name__}")
    crop_NCD = embed(context, context.method, 2 * options.pairs)
    if not is_rank_zero():
        return {}

    first_NPD = crop_NCD[:, 0::2]
    second_NPD = crop_NCD[:, 1::2]

    affinity = context.method.affinity
    same = compare(affinity, first_NPD, second_NPD)
    # Rolled by one image, every pair is of two different images.
    different = compare(affinity, first_NPD, second_NPD.roll(1, 0))

    save_png(plot(same, different), context.directory / "affinity.png")
    if options.shown:
        show_crops(context, context.method, options.shown, 2 * options.pairs)
    return agreement(same, different)


def shuffled(context: AnalysisContext) -> NDArray[np.int64]:
    """Shuffle the images, so that neighbours, which form the pairs of two images, are of arbitrary classes."""
    indices = sort_by_class(context)
    return indices[permutation(len(indices), "affinity")]


def embed(context: AnalysisContext, method: LoGo, count: int) -> Tensor:
    """Compute the unit embeddings (N, C, D) of `count` local crops of each image, augmented as in the training.

    Processes share the images, and each gets all embeddings (a collective).
    """

    def compute(own: NDArray[np.int64]) -> Tensor:
        return embed_crops(context, method, own, count)[1]

    return torch.cat(list(share_rows(compute, shuffled(context), BATCH, "local crops"))).to(context.device)


def embed_crops(
    context: AnalysisContext, method: LoGo, indices: NDArray[np.int64], count: int
) -> tuple[list[Tensor], Tensor]:
    """Cut `count` local crops (B, 3, S, S) of each image, and compute their unit embeddings (B, C, D)."""
    crops = [Crop(method.options.view, method.options.size)] * count
    views = make_batch(context.test[indices].to(context.device), torch.empty(0), crops, indices, 0, 0).views
    representations = [method.base.encode_online(view_BCSS).global_BD for view_BCSS in views]
    return list(views), torch.stack([F.normalize(method.project(global_BD)) for global_BD in representations], 1)


def show_crops(context: AnalysisContext, method: LoGo, images: int, count: int) -> None:
    """Write the scores of the crops of the first images beside their first crop, and the crops with bars."""
    indices = shuffled(context)[:images]
    views, crop_NCD = embed_crops(context, method, indices, count)
    first_NCD = crop_NCD[:, :1].expand(-1, count - 1, -1)
    scores = compare(method.affinity, first_NCD, crop_NCD[:, 1:])
    keys = [context.test.shards.keys[index] for index in indices]
    columns = {
        "key": np.repeat(keys, count - 1),
        "crop": np.tile(np.arange(1, count), len(keys)),
        "affinity": scores.logit_M.sigmoid().numpy(),
        "cosine": scores.cosine_M.numpy(),
    }
    pd.DataFrame(columns).to_parquet(context.directory / "crops.parquet", index=False)

    score_NC2 = torch.stack([scores.logit_M.sigmoid(), scores.cosine_M], 1).unflatten(0, (len(keys), count - 1))
    save_png(plot_crops(torch.stack(views, 1), score_NC2), context.directory / "crops.png")


def plot_crops(view_NC3SS: Tensor, score_NC2: Tensor) -> Figure:
    """Plot the crops of an image in a row, and below each but the first its affinity and cosine with the first."""
    images, count = view_NC3SS.shape[:2]
    figure = Figure(figsize=(1.1 * count, 2.0 * images), layout="constrained")
    grid = figure.subplots(2 * images, count, squeeze=False, height_ratios=[2, 1] * images)
    for axes in grid.flat:
        hide_axes(axes)
    for pictures, views, bars, scores in zip(grid[::2], view_NC3SS, grid[1::2], score_NC2, strict=True):
        for axes, view_3SS in zip(pictures, views, strict=True):
            axes.imshow(to_pixels(view_3SS))
        for axes, (affinity, cosine) in zip(bars[1:], scores.tolist(), strict=True):
            draw_bars(axes, affinity, cosine)
    return figure


def draw_bars(axes: Axes, affinity: float, cosine: float) -> None:
    """Draw the two scores of a crop as bars, with their values."""
    bars = axes.barh([1, 0], [affinity, max(cosine, 0.0)], color=[QUERY, SAME], height=0.7)
    axes.bar_label(bars, [f"{affinity:.2f}", f"{cosine:.2f}"], padding=2, fontsize=7)
    axes.set(xlim=(0, 1.6))


def compare(affinity: Affinity, first_NPD: Tensor, second_NPD: Tensor) -> PairScores:
    """Compute the affinity logit and the cosine of each pair."""
    first_MD = first_NPD.flatten(0, 1)
    second_MD = second_NPD.flatten(0, 1)
    cosine_M = F.cosine_similarity(first_MD, second_MD)
    return PairScores(affinity(first_MD, second_MD).double().cpu(), cosine_M.double().cpu())


def agreement(same: PairScores, different: PairScores) -> dict[str, float]:
    """Compute the metrics of both measures and their correlations."""
    logit_M, cosine_M = (torch.cat(parts) for parts in zip(same, different, strict=True))
    is_same_M = torch.cat([torch.ones_like(same.logit_M), torch.zeros_like(different.logit_M)])
    ranks = (torch.tensor(pd.Series(values_M.numpy()).rank().to_numpy()) for values_M in (logit_M, cosine_M))
    return {
        "auroc_affinity": float(roc_auc_score(is_same_M, logit_M)),
        "auroc_cosine": float(roc_auc_score(is_same_M, cosine_M)),
        "pearson": correlation(logit_M, cosine_M),
        "spearman": correlation(*ranks),
        "affinity_same": same.logit_M.sigmoid().mean().item(),
        "affinity_different": different.logit_M.sigmoid().mean().item(),
        "cosine_same": same.cosine_M.mean().item(),
        "cosine_different": different.cosine_M.mean().item(),
    }


def correlation(x_M: Tensor, y_M: Tensor) -> float:
    """Compute Pearson's correlation; 0 if an argument is constant."""
    return F.cosine_similarity(x_M - x_M.mean(), y_M - y_M.mean(), dim=0).item()


def plot(same: PairScores, different: PairScores) -> Figure:
    """Plot the affinity logit against the cosine, with a point for each pair."""
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    kinds = [(different, "crops of two images", QUERY), (same, "crops of one image", SAME)]
    for pairs, label, colour in kinds:
        axes.scatter(pairs.cosine_M[:SHOWN], pairs.logit_M[:SHOWN], s=5, alpha=0.35, color=colour, lw=0, label=label)
    axes.set(xlabel="cosine", ylabel="affinity (logit)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper left", ncols=2, frameon=False, markerscale=3, fontsize=9)
    return figure
