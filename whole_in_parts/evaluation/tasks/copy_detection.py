"""Copy detection (Douze et al., 2009, "Evaluation of GIST descriptors for web-scale image search"), as DINO's paper has
it (Caron et al., 2021, arXiv:2104.14294, section 4.2.1; `methods.md` E.12).

Each query is a distorted copy of an image of its class in train. A descriptor is the global representation beside the
generalised mean (GeM) of the local ones; it is whitened by images that are neither searched nor sought, and the
database is ranked by cosine similarity. `map` is the mean average precision in per cent; `whitening` says how many
images whitened, and is 0 for a dataset that has none.

Shapes: N images, Q queries, M images of the database, F features of a descriptor, T ranks.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.config.tasks.copy_detection import CopyDetectionConfig
from whole_in_parts.data.shards import Images
from whole_in_parts.data.sources.copydays import WHITENING
from whole_in_parts.evaluation.task import TaskContext, average_precision, mean_average_precision, shared_class_names
from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import Representations
from whole_in_parts.progress import progress

BATCH = 64
POWER = 4
SMALLEST = 1e-6
"""What local representations are raised to before their mean of powers."""

FLOOR = 1e-5
"""The least variance that a direction is taken to have, as a share of the largest."""


def evaluate(context: TaskContext, options: CopyDetectionConfig) -> dict[str, float]:
    """
    Raises:
        Failure: a query is of no class that the database has.
    """
    classes, labels = shared_class_names(context), context.train.shards.labels
    whitens = np.array(classes)[labels] == WHITENING
    if unknown := sorted(set(context.test.shards.labels.tolist()) - set(labels[~whitens].tolist())):
        raise Failure(
            f"the label spaces differ: test has class {classes[unknown[0]]}, and no image of train is of it; copy "
            "detection needs source copydays"
        )
    size = options.image_size or context.train.size
    database_MF = describe(context, context.train, np.flatnonzero(~whitens), size, "database")
    queries_QF = describe(context, context.test, np.arange(len(context.test)), size, "queries")
    if whitens.any():
        mean_F, whitening_FF = whitening(describe(context, context.train, np.flatnonzero(whitens), size, "whitening"))
        database_MF, queries_QF = ((x_NF - mean_F) @ whitening_FF for x_NF in (database_MF, queries_QF))
    precisions = rank(queries_QF, context.test.shards.labels, database_MF, labels[~whitens], options.top)
    return {
        "map": mean_average_precision(precisions),
        "queries": len(queries_QF),
        "database": len(database_MF),
        "whitening": int(whitens.sum()),
    }


@torch.no_grad()
def describe(context: TaskContext, images: Images, indices: NDArray[np.int64], size: int, what: str) -> Tensor:
    """The descriptors (N, F) of some images, each of which is resized to (size, size) whatever its shape."""
    found = []
    for start in progress(range(0, len(indices), BATCH), what, unit="batch"):
        batch = [squared(images.original(number), size) for number in indices[start : start + BATCH]]
        found.append(descriptor(context.backbone(torch.stack(batch).to(context.device) / 255)).double())
    return torch.cat(found)


def squared(image_CHW: Tensor, size: int) -> Tensor:
    """An image (C, size, size) in 0 … 255, bicubic and antialiased."""
    resized_CSS = F.interpolate(image_CHW[None].float(), (size, size), mode="bicubic", antialias=True)[0]
    return resized_CSS.round().clamp(0, 255)


def descriptor(context: Representations) -> Tensor:
    """The global representation and the generalised mean of the local ones, (B, F)."""
    pooled_BC = context.local_BCNN.clamp(min=SMALLEST).pow(POWER).mean((2, 3)).pow(1 / POWER)
    return torch.cat([context.global_BD, pooled_BC], 1)


def whitening(x_NF: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (F,), and the matrix (F, F) that makes the principal components of length one each.

    As in DINO's code, which gave the published numbers, the components are those of the second moments about zero,
    though the mean is taken off what they are applied to.
    """
    variance_F, components_FF = torch.linalg.eigh(x_NF.T @ x_NF / len(x_NF))
    return x_NF.mean(0), components_FF * variance_F.clamp(min=FLOOR * variance_F.max()).rsqrt()


def rank(
    queries_QF: Tensor, labels_Q: NDArray[np.int64], database_MF: Tensor, labels_M: NDArray[np.int64], top: int
) -> list[float]:
    """The average precision of each query among its `top` nearest."""
    similarity_QM = F.normalize(queries_QF) @ F.normalize(database_MF).T
    nearest_QT = similarity_QM.topk(min(top, len(labels_M))).indices.cpu()
    found_QT = torch.from_numpy(labels_M)[nearest_QT] == torch.from_numpy(labels_Q)[:, None]
    positives_Q = (labels_Q[:, None] == labels_M).sum(1).tolist()
    return [average_precision(*each) for each in zip(found_QT, positives_Q, strict=True)]
