"""Object detection, and with `masks` instance segmentation: train a detector with a copy of the backbone, all layers
included (`whole_in_parts/evaluation/detection/`). The stored weights of the pretraining stay unchanged.

`ap`, `ap_50` and `ap_75` are COCO's average precisions of boxes on the test images, in per cent; `mask_ap`,
`mask_ap_50` and `mask_ap_75` are those of masks. `predictions.parquet` has a row for each detection, with its box in
pixels of the original image.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from faster_coco_eval import mask
from numpy.typing import NDArray
from torchvision.models.detection.roi_heads import paste_masks_in_image

from whole_in_parts.config.tasks.detection import DetectionConfig
from whole_in_parts.data.shards import Images
from whole_in_parts.distributed.environment import is_rank_zero
from whole_in_parts.distributed.sharing import share_values
from whole_in_parts.evaluation.detection import precision, samples, training
from whole_in_parts.evaluation.detection.model import Detector
from whole_in_parts.evaluation.detection.precision import Detections
from whole_in_parts.evaluation.task import TaskContext, shared_class_names
from whole_in_parts.failure import Failure

BATCH = 16
"""Images that a process evaluates before all detections are gathered."""


def evaluate(context: TaskContext, options: DetectionConfig) -> dict[str, float | None]:
    classes = shared_class_names(context)
    annotations = samples.read_annotations(context.test.shards, options.masks)
    if not any(has_scored_object(annotation) for annotation in annotations):
        raise Failure(
            f"{context.test.shards.folder}: no object to score: there is none, or all are crowds or difficult"
        )

    model = training.train(context, options, len(classes))
    indices = np.arange(len(context.test))
    found = share_values(lambda index: detect(model, context.test, index, options), indices, BATCH, "test")
    detections = list(found)
    if not is_rank_zero():
        return {}

    write_predictions(context, detections, classes)
    return precision.average_precisions(annotations, detections, len(classes), options.masks, options.recalls)


def has_scored_object(annotation: dict[str, Any]) -> bool:
    """Whether an image has an object that is neither a crowd nor difficult."""
    return any(
        not crowd and not difficult
        for crowd, difficult in zip(annotation["crowd"], annotation["difficult"], strict=True)
    )


@torch.no_grad()
def detect(model: Detector, images: Images, index: int, options: DetectionConfig) -> Detections:
    """Detect the objects of an image; boxes and masks refer to the pixels of the original image."""
    original_CHW = images.original(index).to(model.body.mean.device)
    height, width = original_CHW.shape[1:]
    image_CHW = samples.resize(original_CHW, options.test_short_side, options.long_side)
    prediction = model([image_CHW])[0][0]
    boxes_N4 = prediction["boxes"] * samples.box_scale(image_CHW, original_CHW)

    masks = None
    if options.masks:
        pasted_NHW = paste_masks_in_image(prediction["masks"], boxes_N4, (height, width))[:, 0] > 0.5
        masks = [encode_mask(mask_HW) for mask_HW in pasted_NHW.byte().cpu().numpy()]

    # Label 0 of the detector is the background.
    labels_N = prediction["labels"].cpu().numpy() - 1
    scores_N = prediction["scores"].cpu().double().numpy()
    return Detections(boxes_N4.cpu().double().numpy(), labels_N, scores_N, masks)


def encode_mask(mask_HW: NDArray[np.uint8]) -> str:
    """Run-length encode a mask in COCO's format."""
    return mask.encode(np.asfortranarray(mask_HW))["counts"].decode()


def write_predictions(context: TaskContext, detections: list[Detections], classes: list[str]) -> None:
    """Write `predictions.parquet`, sorted by image and, within an image, by falling score."""
    keys = [key for key, image in zip(context.test.shards.keys, detections, strict=True) for _ in image.labels]
    boxes_N4 = np.concatenate([image.boxes for image in detections])
    columns = {
        "key": pa.array(keys, pa.string()),
        "class": pa.array([classes[label] for image in detections for label in image.labels], pa.string()),
        "score": pa.array(np.concatenate([image.scores for image in detections])),
        **{name: pa.array(boxes_N4[:, side]) for side, name in enumerate(("left", "top", "right", "bottom"))},
    }
    if detections[0].masks is not None:
        columns["mask"] = pa.array([runs for image in detections for runs in image.masks or []], pa.string())
    pq.write_table(pa.table(columns), context.directory / "predictions.parquet")
