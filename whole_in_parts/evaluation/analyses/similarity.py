"""Do two images whose wholes are alike have parts that are alike? (CO-SSL, section 4.4; `methods.md` E.15.)

For random pairs of different images a and b: x is the cosine of their global representations, y the mean cosine over
all pairs of local ones; `correlation` is Pearson's of the two. `within` is the mean cosine of different positions of an
image. With u the mean of an image's unit local representations, y is u_a · u_b: no pair of positions is formed.

Shapes: N images, P positions, C channels, D features.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from whole_in_parts.augment.randomness import uniforms
from whole_in_parts.config.analyses.similarity import SimilarityConfig
from whole_in_parts.evaluation.analysis import AnalysisContext


@torch.no_grad()
def measure(context: AnalysisContext, options: SimilarityConfig) -> dict[str, float]:
    whole, mean, positions = [], [], 1
    for images_BCHW in context.iter_images("similarity"):
        view = context.backbone(images_BCHW)
        local_BCP = F.normalize(view.local_BCNN.flatten(2), dim=1)
        positions = local_BCP.shape[2]
        whole.append(F.normalize(view.global_BD, dim=1))
        mean.append(local_BCP.mean(2))
    whole_ND, mean_NC = torch.cat(whole).double(), torch.cat(mean).double()
    first, second = pairs(len(whole_ND), options.pairs)
    x, y = (whole_ND[first] * whole_ND[second]).sum(1), (mean_NC[first] * mean_NC[second]).sum(1)
    return {
        "correlation": torch.corrcoef(torch.stack([x, y]))[0, 1].item(),
        "across": y.mean().item(),
        "within": within(mean_NC, positions),
    }


def within(mean_NC: Tensor, positions: int) -> float:
    """The mean cosine of two different positions of an image: (P² |u|² − P) / (P² − P); 1 if there is one position."""
    if positions == 1:
        return 1.0
    squared_N = positions**2 * mean_NC.square().sum(1)
    return ((squared_N - positions) / (positions**2 - positions)).mean().item()


def pairs(images: int, count: int) -> tuple[Tensor, Tensor]:
    """The numbers of two different images, `count` times, always the same ones."""
    which = np.arange(count)
    first = (uniforms(which, "pairs", "first") * images).astype(np.int64)
    step = 1 + (uniforms(which, "pairs", "second") * (images - 1)).astype(np.int64)
    return torch.from_numpy(first), torch.from_numpy((first + step) % images)
