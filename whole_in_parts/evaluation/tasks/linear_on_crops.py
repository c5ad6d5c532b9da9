"""Linear evaluation as on ImageNet (CO-SSL, appendix A.1; `docs/methods.md` E.2): a layer on frozen features of random
crops, drawn anew in each epoch and flipped horizontally half of the time.

As in the papers, the global representation is not standardised, unlike in the stage `linear`. The layer after the last
epoch is kept. `top1` is the accuracy on the test images, without augmentation, in per cent.
"""

import torch
import torch.nn.functional as F
from torch import nn

from whole_in_parts.config.tasks.linear_on_crops import LinearOnCropsConfig
from whole_in_parts.data import sample_order
from whole_in_parts.evaluation import linear_probe
from whole_in_parts.evaluation.features import extract_features
from whole_in_parts.evaluation.task import TaskContext, decode_all, random_crops, shared_class_names
from whole_in_parts.progress import progress


def evaluate(context: TaskContext, options: LinearOnCropsConfig) -> dict[str, float]:
    # A broken test image should fail the task before the training.
    decode_all(context.test)
    layer = train(context, options)
    test = extract_features(context.backbone, context.test, context.device, "test")
    with torch.no_grad():
        logits_NC = layer(test.features_ND.to(context.device)).cpu()
    return {"top1": linear_probe.top1(logits_NC, test.labels_N)}


def train(context: TaskContext, options: LinearOnCropsConfig) -> nn.Linear:
    """Train a classifier (D → C); deterministic for the same backbone, images and options."""
    empty_0D = torch.empty(0, context.backbone.features, device=context.device)
    layer = linear_probe.zero_linear(empty_0D, len(shared_class_names(context)))
    optimizer = torch.optim.SGD(
        layer.parameters(), options.learning_rate, momentum=linear_probe.MOMENTUM, weight_decay=options.weight_decay
    )

    steps_per_epoch = sample_order.steps_per_epoch(len(context.train), options.batch_size)
    steps = options.epochs * steps_per_epoch
    crops = random_crops(context, options.batch_size, options.seed, steps)
    for step, (images_BCHW, labels_B) in enumerate(progress(crops, "linear on crops", unit="step", total=steps)):
        optimizer.param_groups[0]["lr"] = linear_probe.learning_rate(options, step // steps_per_epoch)
        with torch.no_grad():
            global_BD = context.backbone(images_BCHW).global_BD
        optimizer.zero_grad()
        F.cross_entropy(layer(global_BD), labels_B).backward()
        optimizer.step()
    return layer
