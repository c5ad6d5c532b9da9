"""Retrieval of landmarks on the revisited Oxford and Paris (Radenović et al., 2018, arXiv:1803.11285), as DINO's paper
has it (Caron et al., 2021, arXiv:2104.14294, section 4.2.1; `methods.md` E.13).

A gallery is ranked by the cosine similarity of its global representations to that of a query. What shows the query's
building easily, hardly or as junk is written beside the query. By the medium protocol easy and hard images are to be
found and junk does not count; by the hard one hard images are, and neither easy ones nor junk count. `map_medium` and
`map_hard` are mean average precisions in per cent over the queries that have something to be found, whose numbers are
`queries_medium` and `queries_hard`. Queries are whole images: their boxes are not cut out.

Shapes: Q queries, M images of the gallery, D features, C channels.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from whole_in_parts.config.tasks.retrieval import RetrievalConfig
from whole_in_parts.data.shards import Images, array
from whole_in_parts.evaluation.task import TaskContext, average_precision, mean_average_precision
from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.progress import progress

PROTOCOLS = {"medium": (("easy", "hard"), ("junk",)), "hard": (("hard",), ("easy", "junk"))}
"""By each protocol, what is to be found and what does not count."""

Annotation = Mapping[str, Sequence[str]]


def evaluate(context: TaskContext, options: RetrievalConfig) -> dict[str, float | None]:
    annotations = sought(context)
    gallery_MD, queries_QD = (describe(context, images, options) for images in (context.train, context.test))
    order_QM = (queries_QD @ gallery_MD.T).argsort(dim=1, descending=True, stable=True).cpu()
    keys, metrics = context.train.shards.keys, dict[str, float | None]()
    for protocol in PROTOCOLS:
        scored = [
            score(order_M, keys, annotation, protocol)
            for order_M, annotation in zip(order_QM, annotations, strict=True)
        ]
        precisions = [precision for precision in scored if precision is not None]
        metrics[f"map_{protocol}"] = mean_average_precision(precisions) if precisions else None
        metrics[f"queries_{protocol}"] = len(precisions)
    return metrics


def sought(context: TaskContext) -> list[Annotation]:
    """For each query, the keys of the images that are easy, hard and junk.

    Raises:
        Failure: a query has none, or names an image that the gallery has not.
    """
    queries, keys = context.test.shards, set(context.train.shards.keys)
    if absent := [key for key in queries.keys if key not in queries.annotations]:
        raise Failure(f"{queries.folder}: nothing says what {absent[0]} is to find; retrieval needs source revisited")
    for key, annotation in queries.annotations.items():
        if unknown := sorted({name for kind in ("easy", "hard", "junk") for name in annotation[kind]} - keys):
            raise Failure(f"{queries.folder}: {key} is to find {unknown[0]}, which is not in train")
    return [queries.annotations[key] for key in queries.keys]


def score(order_M: Tensor, keys: list[str], annotation: Annotation, protocol: str) -> float | None:
    """The average precision of a query whose ranking is given, or None where there is nothing to be found."""
    finds, ignores = (
        torch.tensor([key in among for key in keys])
        for among in ({name for kind in kinds for name in annotation[kind]} for kinds in PROTOCOLS[protocol])
    )
    counted_R = order_M[~ignores[order_M]]
    return average_precision(finds[counted_R], int(finds.sum())) if finds.any() else None


@torch.no_grad()
def describe(context: TaskContext, images: Images, options: RetrievalConfig) -> Tensor:
    """The representations (N, D) of all images, of length one: one image at a time, since each has its own shape."""
    size, step, found = options.image_size or images.size, stride(context.backbone, images.size), []
    for number in progress(range(len(images)), "features", unit="image"):
        image_1CHW = thumbnail(images.original(number), size)[None].to(context.device) / 255
        views = [scaled(image_1CHW, scale, step) for scale in options.scales]
        found.append(torch.stack([context.backbone(view).global_BD[0] for view in views]).mean(0))
    return F.normalize(torch.stack(found))


def thumbnail(image_CHW: Tensor, size: int) -> Tensor:
    """An image of its own shape with no side above `size`; a smaller one stays as it is."""
    image = Image.fromarray(image_CHW.permute(1, 2, 0).squeeze(2).numpy())
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    return array(image, len(image_CHW))


def scaled(image_1CHW: Tensor, scale: float, step: int) -> Tensor:
    """An image at a scale; what is left over at its right and its bottom is cut off where sides go by steps."""
    if scale != 1:
        image_1CHW = F.interpolate(image_1CHW, scale_factor=scale, mode="bilinear", align_corners=False)
    height, width = (max(side - side % step, step) for side in image_1CHW.shape[2:])
    return image_1CHW[..., :height, :width]


def stride(backbone: Backbone, size: int) -> int:
    """What a side has to be a multiple of: the patch of a transformer; a convolution takes any side."""
    return 1 if backbone.convolutional else max(1, size // backbone.map_sizes(size)[-1])
