"""Copy detection (Douze et al., 2009, "Evaluation of GIST descriptors for web-scale image search"), with the
protocol of DINO (Caron et al., 2021, arXiv:2104.14294, section 4.2.1; `docs/methods.md` E.12).

Each query is a distorted copy of an image of its class in train. A descriptor is the concatenation of the global
representation and the generalised mean (GeM) of the local ones. It is whitened by statistics of images that are neither
queries nor in the database, and the database is ranked by cosine similarity. `map` is the mean average precision in per
cent; `queries`, `database` and `whitening` are numbers of images; `whitening` is 0 for a dataset without such images.

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
from whole_in_parts.distributed.environment import is_rank_zero
from whole_in_parts.distributed.sharing import share_rows
from whole_in_parts.evaluation.task import TaskContext, average_precision, mean_average_precision, shared_class_names
from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import Representations

BATCH = 64
GEM_POWER = 4
GEM_FLOOR = 1e-6
"""The lower clamp of local representations before GeM pooling."""

VARIANCE_FLOOR = 1e-5
"""The lower clamp of the variance of a principal component, as a share of the largest."""


def evaluate(context: TaskContext, options: CopyDetectionConfig) -> dict[str, float]:
    """Rank the database for each query.

    Raises:
        Failure: the database has no image of a query's class.
    """
    classes = shared_class_names(context)
    labels = context.train.shards.labels
    is_whitening = np.array(classes)[labels] == WHITENING
    if unknown := sorted(set(context.test.shards.labels.tolist()) - set(labels[~is_whitening].tolist())):
        raise Failure(
            f"the label spaces differ: test has class {classes[unknown[0]]}, and no image of train has it; copy "
            "detection needs source copydays"
        )

    size = options.image_size or context.train.size
    database_MF = compute_descriptors(context, context.train, np.flatnonzero(~is_whitening), size, "database")
    queries_QF = compute_descriptors(context, context.test, np.arange(len(context.test)), size, "queries")
    if is_whitening.any():
        whitening_NF = compute_descriptors(context, context.train, np.flatnonzero(is_whitening), size, "whitening")
    if not is_rank_zero():
        return {}

    if is_whitening.any():
        mean_F, whitening_FF = fit_whitening(whitening_NF)
        database_MF, queries_QF = ((x_NF - mean_F) @ whitening_FF for x_NF in (database_MF, queries_QF))

    precisions = average_precisions(
        queries_QF, context.test.shards.labels, database_MF, labels[~is_whitening], options.top
    )
    return {
        "map": mean_average_precision(precisions),
        "queries": len(queries_QF),
        "database": len(database_MF),
        "whitening": int(is_whitening.sum()),
    }


@torch.no_grad()
def compute_descriptors(
    context: TaskContext, images: Images, indices: NDArray[np.int64], size: int, title: str
) -> Tensor:
    """Compute the descriptors (N, F) of the indexed images, resized to (size, size) whatever their aspect ratio.

    Processes share the images, and each gets all descriptors (a collective).
    """

    def compute(own: NDArray[np.int64]) -> Tensor:
        images_BCSS = torch.stack([resize_to_square(images.original(index), size) for index in own])
        return descriptor(context.backbone(images_BCSS.to(context.device) / 255)).double()

    return torch.cat(list(share_rows(compute, indices, BATCH, title))).to(context.device)


def resize_to_square(image_CHW: Tensor, size: int) -> Tensor:
    """Resize an image to (C, size, size), in 0 … 255, by antialiased bicubic interpolation."""
    resized_CSS = F.interpolate(image_CHW[None].float(), (size, size), mode="bicubic", antialias=True)[0]
    return resized_CSS.round().clamp(0, 255)


def descriptor(representations: Representations) -> Tensor:
    """Concatenate the global representation and the generalised mean of the local ones, (B, F)."""
    pooled_BC = representations.local_BCNN.clamp(min=GEM_FLOOR).pow(GEM_POWER).mean((2, 3)).pow(1 / GEM_POWER)
    return torch.cat([representations.global_BD, pooled_BC], 1)


def fit_whitening(x_NF: Tensor) -> tuple[Tensor, Tensor]:
    """Fit PCA whitening: return the mean (F,) to subtract and the matrix (F, F) to multiply with.

    The components are those of the second moments about zero, although the mean is subtracted before they are applied,
    as in DINO's code, which gave the published figures.
    """
    variance_F, components_FF = torch.linalg.eigh(x_NF.T @ x_NF / len(x_NF))
    return x_NF.mean(0), components_FF * variance_F.clamp(min=VARIANCE_FLOOR * variance_F.max()).rsqrt()


def average_precisions(
    queries_QF: Tensor, labels_Q: NDArray[np.int64], database_MF: Tensor, labels_M: NDArray[np.int64], top: int
) -> list[float]:
    """Compute the average precision of each query over its `top` nearest images of the database."""
    similarity_QM = F.normalize(queries_QF) @ F.normalize(database_MF).T
    nearest_QT = similarity_QM.topk(min(top, len(labels_M))).indices.cpu()
    relevant_QT = torch.from_numpy(labels_M)[nearest_QT] == torch.from_numpy(labels_Q)[:, None]
    positives_Q = (labels_Q[:, None] == labels_M).sum(1).tolist()
    return [
        average_precision(relevant_T, positives) for relevant_T, positives in zip(relevant_QT, positives_Q, strict=True)
    ]
