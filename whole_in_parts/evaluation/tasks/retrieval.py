"""Retrieval of landmarks on the revisited Oxford and Paris (Radenović et al., 2018, arXiv:1803.11285), with the
protocol of DINO (Caron et al., 2021, arXiv:2104.14294, section 4.2.1; `docs/methods.md` E.13).

A gallery is ranked by the cosine similarity of its global representations to that of a query. A query's annotation
lists the gallery images that show its building as easy, hard or junk. In the medium protocol, easy and hard images are
positives and junk is ignored; in the hard protocol, hard images are positives, and easy images and junk are ignored.
`map_medium` and `map_hard` are mean average precisions in per cent over the queries with positives, whose numbers are
`queries_medium` and `queries_hard`. Queries are whole images, not cropped to their boxes.

Shapes: Q queries, M images of the gallery, D features, C channels.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from whole_in_parts.config.tasks.retrieval import RetrievalConfig
from whole_in_parts.data.pixels import to_tensor
from whole_in_parts.data.shards import Images
from whole_in_parts.distributed.environment import is_rank_zero
from whole_in_parts.distributed.sharing import share_rows
from whole_in_parts.evaluation.task import TaskContext, average_precision, mean_average_precision
from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import Backbone

BATCH = 16
"""Images that a process embeds before all representations are gathered."""

PROTOCOLS = {"medium": (("easy", "hard"), ("junk",)), "hard": (("hard",), ("easy", "junk"))}
"""For each protocol, the kinds of images that are positives and those that are ignored."""

Annotation = Mapping[str, Sequence[str]]


def evaluate(context: TaskContext, options: RetrievalConfig) -> dict[str, float | None]:
    annotations = read_annotations(context)
    gallery_MD, queries_QD = (embed(context, images, options) for images in (context.train, context.test))
    if not is_rank_zero():
        return {}

    order_QM = (queries_QD @ gallery_MD.T).argsort(dim=1, descending=True, stable=True).cpu()

    keys = context.train.shards.keys
    metrics: dict[str, float | None] = {}
    for protocol in PROTOCOLS:
        scored = [
            query_average_precision(order_M, keys, annotation, protocol)
            for order_M, annotation in zip(order_QM, annotations, strict=True)
        ]
        precisions = [precision for precision in scored if precision is not None]
        metrics[f"map_{protocol}"] = mean_average_precision(precisions) if precisions else None
        metrics[f"queries_{protocol}"] = len(precisions)
    return metrics


def read_annotations(context: TaskContext) -> list[Annotation]:
    """Read the annotation of each query: the keys of its easy, hard and junk images.

    Raises:
        Failure: a query has no annotation, or its annotation names an image that the gallery lacks.
    """
    queries = context.test.shards
    keys = set(context.train.shards.keys)
    if missing := [key for key in queries.keys if key not in queries.annotations]:
        raise Failure(f"{queries.folder}: query {missing[0]} has no annotation; retrieval needs source revisited")
    for key, annotation in queries.annotations.items():
        if unknown := sorted({name for kind in ("easy", "hard", "junk") for name in annotation[kind]} - keys):
            raise Failure(f"{queries.folder}: the annotation of {key} names {unknown[0]}, which is not in train")
    return [queries.annotations[key] for key in queries.keys]


def query_average_precision(order_M: Tensor, keys: list[str], annotation: Annotation, protocol: str) -> float | None:
    """Compute the average precision of a query from its ranking of the gallery, or None if it has no positives."""
    positive_M, ignored_M = (
        torch.tensor([key in chosen for key in keys])
        for chosen in ({name for kind in kinds for name in annotation[kind]} for kinds in PROTOCOLS[protocol])
    )
    ranked_R = order_M[~ignored_M[order_M]]
    return average_precision(positive_M[ranked_R], int(positive_M.sum())) if positive_M.any() else None


@torch.no_grad()
def embed(context: TaskContext, images: Images, options: RetrievalConfig) -> Tensor:
    """Compute the unit-length representations (N, D) of all images, the mean over the scales.

    Processes share the images, and each gets all representations (a collective).
    """
    size = options.image_size or images.size
    multiple = side_multiple(context.backbone, images.size)

    def embed_image(index: int) -> Tensor:
        image_1CHW = shrink(images.original(index), size)[None].to(context.device) / 255
        views = [rescale(image_1CHW, scale, multiple) for scale in options.scales]
        return torch.stack([context.backbone(view).global_BD[0] for view in views]).mean(0)

    # A forward pass for each image, since images differ in shape.
    def embed_images(own: NDArray[np.int64]) -> Tensor:
        return torch.stack([embed_image(index) for index in own])

    rows = share_rows(embed_images, np.arange(len(images)), BATCH, "features")
    return F.normalize(torch.cat(list(rows)))


def shrink(image_CHW: Tensor, size: int) -> Tensor:
    """Shrink an image so that no side exceeds `size`, keeping its aspect ratio; smaller images are unchanged."""
    image = Image.fromarray(image_CHW.permute(1, 2, 0).squeeze(2).numpy())
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    return to_tensor(image, len(image_CHW))


def rescale(image_1CHW: Tensor, scale: float, multiple: int) -> Tensor:
    """Resize an image by a factor and crop its right and bottom so that its sides are multiples of `multiple`."""
    if scale != 1:
        image_1CHW = F.interpolate(image_1CHW, scale_factor=scale, mode="bilinear", align_corners=False)
    height, width = (max(side - side % multiple, multiple) for side in image_1CHW.shape[2:])
    return image_1CHW[..., :height, :width]


def side_multiple(backbone: Backbone, size: int) -> int:
    """Return the divisor of allowed image sides: a transformer's patch size, and 1 for a convolutional network."""
    return 1 if backbone.convolutional else max(1, size // backbone.map_sizes(size)[-1])
