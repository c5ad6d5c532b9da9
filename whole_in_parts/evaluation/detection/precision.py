"""Average precision as COCO has it (Lin et al., 2014): the mean over classes and overlaps from 0.5 to 0.95, on at most
100 detections an image.

VOC is scored in the same way, with differences: what is found of a difficult object does not count, however often it is
found, and overlaps with it are the usual ones, whereas a detection overlaps with a crowd by the share of itself that is
in it; and the papers average the precision of VOC 2007 over 11 recalls, that of COCO over 101.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster, mask
from numpy.typing import NDArray

NAMES = ("ap", "ap_50", "ap_75")


class Detections(NamedTuple):
    """What is found in an image: boxes (N, 4) as left, top, right and bottom in pixels, labels (N,) from 0, scores
    (N,), and run-length encoded masks, or nothing.
    """

    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    masks: list[str] | None = None


class Evaluation(COCOeval_faster):
    """COCO's, in which a difficult object is a crowd but for the overlap."""

    def computeIoU(self, imgId: int, catId: int) -> NDArray[np.float64] | list[float]:  # the library's names
        overlaps = super().computeIoU(imgId, catId)
        marked = self.gt_dataset.get_instances([imgId], [catId], True)[0][0]
        difficult = [bool(each["difficult"]) for each in marked]
        if len(overlaps) and any(difficult):
            found = self.dt_dataset.get_instances([imgId], [catId], True)[0][0]
            best = sorted(found, key=lambda each: -each["score"])[: self.params.maxDets[-1]]
            part = "rle" if self.params.compute_rle else "bbox"
            usual = mask.iou([each[part] for each in best], [each[part] for each in marked], [0] * len(marked))
            overlaps[:, difficult] = usual[:, difficult]
        return overlaps


def average_precisions(
    marked: Sequence[dict[str, Any]], found: Sequence[Detections], classes: int, masks: bool, recalls: int = 101
) -> dict[str, float | None]:
    """`ap`, `ap_50` and `ap_75` in per cent, and of masks `mask_ap` and so on; None where no object counts.

    Args:
        marked: for each image, what is marked in it (`whole_in_parts/data/sources/_objects.py`).
        found: for each image, what is found in it.
        recalls: over how many of them, from 0 to 1, precision is averaged.
    """
    truth = COCO({"images": pictures(marked), "categories": categories(classes), "annotations": objects(marked, masks)})
    results = truth.loadRes(detections(marked, found, masks))
    metrics = dict[str, float | None]()
    for prefix, kind in (("", "bbox"), ("mask_", "segm"))[: 1 + masks]:
        evaluation = Evaluation(truth, results, kind)
        evaluation.params.recThrs = np.linspace(0, 1, recalls)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        for name, value in zip(NAMES, evaluation.stats, strict=False):
            metrics[prefix + name] = round(100 * float(value), 4) if value >= 0 else None
    return metrics


def pictures(marked: Sequence[dict[str, Any]]) -> list[dict]:
    return [
        {"id": number, "height": each["size"][0], "width": each["size"][1]} for number, each in enumerate(marked, 1)
    ]


def categories(classes: int) -> list[dict]:
    return [{"id": label, "name": str(label)} for label in range(1, classes + 1)]


def objects(marked: Sequence[dict[str, Any]], masks: bool) -> list[dict]:
    """What is marked, as COCO's code wants it."""
    entries = [
        entry(
            image, each["boxes"][number], each["labels"][number], each["masks"][number] if masks else None, each["size"]
        )
        | {
            "iscrowd": int(each["crowd"][number] or each["difficult"][number]),
            "difficult": int(each["difficult"][number] and not each["crowd"][number]),
        }
        for image, each in enumerate(marked, 1)
        for number in range(len(each["boxes"]))
    ]
    return [each | {"id": number} for number, each in enumerate(entries, 1)]


def detections(marked: Sequence[dict[str, Any]], found: Sequence[Detections], masks: bool) -> list[dict]:
    """What is found, as COCO's code wants it."""
    return [
        entry(image, box, label, each.masks[number] if masks and each.masks else None, size) | {"score": score}
        for image, (each, size) in enumerate(zip(found, (one["size"] for one in marked), strict=True), 1)
        for number, (box, label, score) in enumerate(
            zip(each.boxes.tolist(), each.labels.tolist(), each.scores.tolist(), strict=True)
        )
    ]


def entry(image: int, box: Sequence[float], label: int, runs: str | None, size: Sequence[int]) -> dict:
    """What objects and detections have in common; a box is left, top, width and height here."""
    left, top, right, bottom = box
    shape = {"bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top)}
    outline = {"segmentation": {"size": list(size), "counts": runs}} if runs is not None else {}
    return {"image_id": image, "category_id": label + 1} | shape | outline
