"""Average precision as defined by COCO (Lin et al., 2014): the mean over classes and over IoU thresholds from 0.5 to
0.95, with at most 100 detections per image.

VOC is scored in the same way, with two differences. Detections of a difficult object are ignored, like those of a
crowd, but overlap with it is the usual IoU, whereas overlap with a crowd is the share of the detection inside it. And
the papers average the precision of VOC 2007 over 11 recalls, that of COCO over 101.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster, mask
from numpy.typing import NDArray

NAMES = ("ap", "ap_50", "ap_75")


class Detections(NamedTuple):
    """The detections in an image: boxes (N, 4) as left, top, right and bottom in pixels, labels (N,) from 0, scores
    (N,), and run-length encoded masks or None.
    """

    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    masks: list[str] | None = None


class DifficultAwareEvaluation(COCOeval_faster):
    """COCO's evaluation, with the usual IoU for difficult objects, which are crowds in all else."""

    def computeIoU(self, imgId: int, catId: int) -> NDArray[np.float64] | list[float]:  # named by the library
        overlaps = super().computeIoU(imgId, catId)
        objects = self.gt_dataset.get_instances([imgId], [catId], True)[0][0]
        difficult = [bool(instance["difficult"]) for instance in objects]
        if len(overlaps) and any(difficult):
            # Sort and limit the detections as the rows of `overlaps`.
            detections = self.dt_dataset.get_instances([imgId], [catId], True)[0][0]
            best = sorted(detections, key=lambda detection: -detection["score"])[: self.params.maxDets[-1]]

            shape = "rle" if self.params.compute_rle else "bbox"
            usual = mask.iou(
                [instance[shape] for instance in best], [instance[shape] for instance in objects], [0] * len(objects)
            )
            overlaps[:, difficult] = usual[:, difficult]
        return overlaps


def average_precisions(
    annotations: Sequence[dict[str, Any]],
    predicted: Sequence[Detections],
    classes: int,
    masks: bool,
    recalls: int = 101,
) -> dict[str, float | None]:
    """Compute `ap`, `ap_50` and `ap_75` in per cent, with `masks` also `mask_ap` and so on; None without objects.

    Args:
        annotations: the annotation of each image (`whole_in_parts/data/sources/_objects.py`).
        predicted: the detections in each image.
        recalls: the number of recalls, evenly spaced from 0 to 1, over which precision is averaged.
    """
    truth = COCO(
        {
            "images": coco_images(annotations),
            "categories": coco_categories(classes),
            "annotations": coco_objects(annotations, masks),
        }
    )
    results = truth.loadRes(coco_results(annotations, predicted, masks))

    metrics: dict[str, float | None] = {}
    for prefix, kind in (("", "bbox"), ("mask_", "segm"))[: 1 + masks]:
        evaluation = DifficultAwareEvaluation(truth, results, kind)
        evaluation.params.recThrs = np.linspace(0, 1, recalls)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        # A value is −1 where no object is scored.
        for name, value in zip(NAMES, evaluation.stats, strict=False):
            metrics[prefix + name] = round(100 * float(value), 4) if value >= 0 else None
    return metrics


def coco_images(annotations: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """List the images in COCO's format, numbered from 1."""
    return [
        {"id": number, "height": annotation["size"][0], "width": annotation["size"][1]}
        for number, annotation in enumerate(annotations, 1)
    ]


def coco_categories(classes: int) -> list[dict[str, Any]]:
    """List the classes in COCO's format, numbered from 1."""
    return [{"id": label, "name": str(label)} for label in range(1, classes + 1)]


def coco_objects(annotations: Sequence[dict[str, Any]], masks: bool) -> list[dict[str, Any]]:
    """List the annotated objects in COCO's format, numbered from 1."""
    objects: list[dict[str, Any]] = []
    for image, annotation in enumerate(annotations, 1):
        for number, (box, label) in enumerate(zip(annotation["boxes"], annotation["labels"], strict=True)):
            crowd = annotation["crowd"][number]
            difficult = annotation["difficult"][number]
            runs = annotation["masks"][number] if masks else None
            flags = {"iscrowd": int(crowd or difficult), "difficult": int(difficult and not crowd)}
            identifier = {"id": len(objects) + 1}
            objects.append(coco_entry(image, box, label, runs, annotation["size"]) | flags | identifier)
    return objects


def coco_results(
    annotations: Sequence[dict[str, Any]], predicted: Sequence[Detections], masks: bool
) -> list[dict[str, Any]]:
    """List the detections in COCO's format."""
    results = []
    for image, (annotation, detections) in enumerate(zip(annotations, predicted, strict=True), 1):
        boxes = detections.boxes.tolist()
        labels = detections.labels.tolist()
        scores = detections.scores.tolist()
        for number, (box, label, score) in enumerate(zip(boxes, labels, scores, strict=True)):
            runs = detections.masks[number] if masks and detections.masks else None
            results.append(coco_entry(image, box, label, runs, annotation["size"]) | {"score": score})
    return results


def coco_entry(image: int, box: Sequence[float], label: int, runs: str | None, size: Sequence[int]) -> dict[str, Any]:
    """Build the fields that objects and detections share; COCO's boxes are left, top, width and height."""
    left, top, right, bottom = box
    shape = {"bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top)}
    outline = {"segmentation": {"size": list(size), "counts": runs}} if runs is not None else {}
    return {"image_id": image, "category_id": label + 1} | shape | outline
