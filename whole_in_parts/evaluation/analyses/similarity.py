"""Correlate the global with the local similarity of pairs of images (CO-SSL, section 4.4; `docs/methods.md` E.15).

For random pairs of different images a and b, x is the cosine of their global representations and y the mean cosine over
all pairs of their local ones. `correlation` is Pearson's correlation of x and y, `across` the mean of y, and `within`
the mean cosine of different positions of an image. With u the mean of an image's unit local representations, y is
u_a · u_b, so that pairs of positions need not be formed. `pairs.parquet` has every pair with x and y, the points of
Figure 3B.

Shapes: N images, P positions, C channels, D features.
"""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from torch import Tensor

from whole_in_parts.augment.randomness import uniforms
from whole_in_parts.config.analyses.similarity import SimilarityConfig
from whole_in_parts.distributed.environment import is_rank_zero
from whole_in_parts.evaluation.analysis import AnalysisContext


@torch.no_grad()
def measure(context: AnalysisContext, options: SimilarityConfig) -> dict[str, float]:
    """Compute the correlation and the mean local similarities, and write `pairs.parquet`."""

    def compute(images_BCHW: Tensor) -> Tensor:
        representations = context.backbone(images_BCHW)
        local_BCP = F.normalize(representations.local_BCNN.flatten(2), dim=1)
        return torch.cat([F.normalize(representations.global_BD, dim=1), local_BCP.mean(2)], 1)

    rows_NF = torch.cat(list(context.iter_rows(compute, "similarity"))).double()
    if not is_rank_zero():
        return {}

    global_ND, mean_NC = rows_NF.split([context.backbone.features, context.backbone.local_features], 1)
    positions = context.backbone.map_sizes(context.test.size)[-1] ** 2
    first, second = draw_pairs(len(global_ND), options.pairs)
    x = (global_ND[first] * global_ND[second]).sum(1)
    y = (mean_NC[first] * mean_NC[second]).sum(1)
    pq.write_table(pair_table(context, first, second, x, y), context.directory / "pairs.parquet")
    return {
        "correlation": torch.corrcoef(torch.stack([x, y]))[0, 1].item(),
        "across": y.mean().item(),
        "within": within(mean_NC, positions),
    }


def pair_table(context: AnalysisContext, first: Tensor, second: Tensor, x: Tensor, y: Tensor) -> pa.Table:
    """Build a table with a row for each pair: the keys of both images, and their similarities."""
    keys = pa.array([context.test.shards.keys[index] for index in context.indices])
    columns = {
        "first": keys.take(pa.array(first.numpy())),
        "second": keys.take(pa.array(second.numpy())),
        "global": pa.array(x.float().cpu().numpy()),
        "local": pa.array(y.float().cpu().numpy()),
    }
    return pa.table(columns)


def within(mean_NC: Tensor, positions: int) -> float:
    """Compute the mean cosine of two different positions of an image, (P² |u|² − P) / (P² − P); 1 for one position."""
    if positions == 1:
        return 1.0
    squared_N = positions**2 * mean_NC.square().sum(1)
    return ((squared_N - positions) / (positions**2 - positions)).mean().item()


def draw_pairs(images: int, count: int) -> tuple[Tensor, Tensor]:
    """Draw `count` pairs of different images, always the same; return the indices of the first and of the second."""
    counter = np.arange(count)
    first = (uniforms(counter, "pairs", "first") * images).astype(np.int64)
    # An offset from 1 to images − 1 never leads back to the first image.
    offset = 1 + (uniforms(counter, "pairs", "second") * (images - 1)).astype(np.int64)
    return torch.from_numpy(first), torch.from_numpy((first + offset) % images)
