"""LoGo's learned affinity beside the cosine of the same embeddings (Zhang et al., 2022, section 5.2 and Figure 3;
`methods.md` A.14).

Pairs of local crops, made as the training made them, of one image and of two. By each measure: `auroc_<measure>` says
how well it tells pairs of one image from pairs of two (1 always, 0.5 not at all), `<measure>_same` and
`<measure>_different` are its means. The mean affinity is a probability, the sigmoid of the logit; elsewhere the logit
counts. `pearson` and `spearman` are the correlations of logit and cosine over all pairs, which `affinity.png` shows.

The affinity's batch norms stand as the training left them: batches of one kind of pairs, as the training has them,
would tell the kinds apart by themselves. The paper shows a few crops, with no numbers.

Shapes: N images, P pairs of each, C crops, M pairs in all, D dimensions.
"""

from typing import NamedTuple, cast

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score
from torch import Tensor

from whole_in_parts.augment.randomness import permutation
from whole_in_parts.augment.views import Crop, make_batch
from whole_in_parts.config.analyses.affinity import AffinityConfig
from whole_in_parts.evaluation.analyses._patches import by_class
from whole_in_parts.evaluation.analyses._pictures import QUERY, SAME, save
from whole_in_parts.evaluation.analysis import AnalysisContext
from whole_in_parts.modifiers.logo import Affinity, LoGo
from whole_in_parts.progress import progress

BATCH = 64
SHOWN = 2000
"""The most pairs of a kind that the picture shows."""


class Compared(NamedTuple):
    """The logit (M,) and the cosine (M,) of some pairs."""

    logit_M: Tensor
    cosine_M: Tensor


@torch.no_grad()
def measure(context: AnalysisContext, options: AffinityConfig) -> dict[str, float]:
    crop_NCD = embed(context, 2 * options.pairs)
    first_NPD, second_NPD = crop_NCD[:, 0::2], crop_NCD[:, 1::2]
    affinity = cast(LoGo, context.method).affinity
    same = compare(affinity, first_NPD, second_NPD)
    different = compare(affinity, first_NPD, second_NPD.roll(1, 0))
    save(picture(same, different), context.directory / "affinity.png")
    return agreement(same, different)


def embed(context: AnalysisContext, count: int) -> Tensor:
    """The unit embeddings (N, C, D) of `count` local crops of each image, as the affinity was trained on them.

    The images are shuffled: those next to each other are of any classes.
    """
    method, indices = cast(LoGo, context.method), by_class(context)
    indices = indices[permutation(len(indices), "affinity")]
    crops = [Crop(method.options.view, method.options.size)] * count
    found = []
    for some in progress(np.array_split(indices, -(-len(indices) // BATCH)), "local crops", unit="batch"):
        batch = make_batch(context.test[some].to(context.device), torch.empty(0), crops, some, 0, 0)
        whole = [method.base.encode_online(view_BCSS).global_BD for view_BCSS in batch.views]
        found.append(torch.stack([F.normalize(method.project(global_BD)) for global_BD in whole], 1))
    return torch.cat(found)


def compare(affinity: Affinity, first_NPD: Tensor, second_NPD: Tensor) -> Compared:
    """What either measure says of pairs."""
    first_MD, second_MD = first_NPD.flatten(0, 1), second_NPD.flatten(0, 1)
    cosine_M = F.cosine_similarity(first_MD, second_MD)
    return Compared(affinity(first_MD, second_MD).double().cpu(), cosine_M.double().cpu())


def agreement(same: Compared, different: Compared) -> dict[str, float]:
    """The numbers of the two measures, and how far they agree."""
    logit_M, cosine_M = (torch.cat(parts) for parts in zip(same, different, strict=True))
    one_image_M = torch.cat([torch.ones_like(same.logit_M), torch.zeros_like(different.logit_M)])
    ranks = (torch.tensor(pd.Series(values_M.numpy()).rank().to_numpy()) for values_M in (logit_M, cosine_M))
    return {
        "auroc_affinity": float(roc_auc_score(one_image_M, logit_M)),
        "auroc_cosine": float(roc_auc_score(one_image_M, cosine_M)),
        "pearson": correlation(logit_M, cosine_M),
        "spearman": correlation(*ranks),
        "affinity_same": same.logit_M.sigmoid().mean().item(),
        "affinity_different": different.logit_M.sigmoid().mean().item(),
        "cosine_same": same.cosine_M.mean().item(),
        "cosine_different": different.cosine_M.mean().item(),
    }


def correlation(x_M: Tensor, y_M: Tensor) -> float:
    """Pearson's; 0 where one of the two is constant."""
    return F.cosine_similarity(x_M - x_M.mean(), y_M - y_M.mean(), dim=0).item()


def picture(same: Compared, different: Compared) -> Figure:
    """A point for each pair."""
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    kinds = [(different, "crops of two images", QUERY), (same, "crops of one image", SAME)]
    for pairs, label, colour in kinds:
        axes.scatter(pairs.cosine_M[:SHOWN], pairs.logit_M[:SHOWN], s=5, alpha=0.35, color=colour, lw=0, label=label)
    axes.set(xlabel="cosine", ylabel="affinity (logit)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper left", ncols=2, frameon=False, markerscale=3, fontsize=9)
    return figure
