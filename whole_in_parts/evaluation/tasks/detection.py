"""Object detection, and with `masks` instance segmentation, by a detector on the backbone that is trained as a whole
(`whole_in_parts/evaluation/detection/`); the weights of the pretraining stay as they are on disk.

`ap`, `ap_50` and `ap_75` are COCO's average precisions in per cent, on the test images, and `mask_ap` and so on those
of masks. `predictions.parquet` has a row for each detection, with its box in pixels of the image.
"""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from faster_coco_eval import mask
from torchvision.models.detection.roi_heads import paste_masks_in_image

from whole_in_parts.config.tasks.detection import DetectionConfig
from whole_in_parts.data.shards import Images
from whole_in_parts.evaluation.detection import precision, samples, training
from whole_in_parts.evaluation.detection.model import Detector
from whole_in_parts.evaluation.detection.precision import Detections
from whole_in_parts.evaluation.task import TaskContext, shared_class_names
from whole_in_parts.failure import Failure
from whole_in_parts.progress import progress


def evaluate(context: TaskContext, options: DetectionConfig) -> dict[str, float | None]:
    classes = shared_class_names(context)
    marked = samples.annotations(context.test.shards, options.masks)
    if not any(countable(each) for each in marked):
        raise Failure(f"{context.test.shards.folder}: no object counts: there is none, or all are crowds or difficult")
    model = training.train(context, options, len(classes))
    found = [detect(model, context.test, number, options) for number in progress(range(len(context.test)), "test")]
    write(context, found, classes)
    return precision.average_precisions(marked, found, len(classes), options.masks, options.recalls)


def countable(marked: dict) -> bool:
    """Whether an image has an object that is to be found."""
    return any(
        not crowd and not difficult for crowd, difficult in zip(marked["crowd"], marked["difficult"], strict=True)
    )


@torch.no_grad()
def detect(model: Detector, images: Images, number: int, options: DetectionConfig) -> Detections:
    """What a detector finds in an image, in the pixels of the image as it is."""
    original_CHW = images.original(number).to(model.body.mean.device)
    height, width = original_CHW.shape[1:]
    image_CHW = samples.resized(original_CHW, options.test_short_side, options.long_side)
    found = model([image_CHW])[0][0]
    boxes_N4 = found["boxes"] * samples.scale(image_CHW, original_CHW)
    masks = None
    if options.masks:
        pasted_NHW = paste_masks_in_image(found["masks"], boxes_N4, (height, width))[:, 0] > 0.5
        masks = [encoded(each_HW) for each_HW in pasted_NHW.byte().cpu().numpy()]
    labels_N, scores_N = found["labels"].cpu().numpy() - 1, found["scores"].cpu().double().numpy()
    return Detections(boxes_N4.cpu().double().numpy(), labels_N, scores_N, masks)


def encoded(mask_HW: np.ndarray) -> str:
    """A mask, run-length encoded as COCO does."""
    return mask.encode(np.asfortranarray(mask_HW))["counts"].decode()


def write(context: TaskContext, found: list[Detections], classes: list[str]) -> None:
    """Write `predictions.parquet`: best first for each image."""
    keys = [key for key, each in zip(context.test.shards.keys, found, strict=True) for _ in each.labels]
    boxes_N4 = np.concatenate([each.boxes for each in found])
    columns = {
        "key": pa.array(keys, pa.string()),
        "class": pa.array([classes[label] for each in found for label in each.labels], pa.string()),
        "score": pa.array(np.concatenate([each.scores for each in found])),
        **{name: pa.array(boxes_N4[:, side]) for side, name in enumerate(("left", "top", "right", "bottom"))},
    }
    if found[0].masks is not None:
        columns["mask"] = pa.array([runs for each in found for runs in each.masks or []], pa.string())
    pq.write_table(pa.table(columns), context.directory / "predictions.parquet")
