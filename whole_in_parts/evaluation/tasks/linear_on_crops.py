"""Linear evaluation as on ImageNet: layers on frozen features of random crops (`evaluation/crops_probe.py`).

`top1` is the accuracy on the test images, without augmentation, in per cent, of the global representation; the names of
those of others end in theirs, as `top1_patch`. Of several learning rates, `learning_rate` is the one that is best on
held-out training images, and `held_out_top1` its accuracy there.
"""

from whole_in_parts.config.tasks.linear_on_crops import LinearOnCropsConfig
from whole_in_parts.evaluation import crops_probe
from whole_in_parts.evaluation.features import require_representations
from whole_in_parts.evaluation.task import TaskContext, checkpoints, decode_all, shared_class_names


def evaluate(context: TaskContext, options: LinearOnCropsConfig) -> dict[str, float]:
    require_representations(context.backbone, options.representations, "task.representations")
    shared_class_names(context)
    # A broken test image should fail the task before the training.
    decode_all(context.test)

    fitted = crops_probe.fit(context.backbone, context.train, options, checkpoints(context, options), context.device)
    metrics, _ = crops_probe.evaluate(context.backbone, fitted, context.test, context.device)
    return metrics
