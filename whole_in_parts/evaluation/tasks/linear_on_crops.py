"""Linear evaluation as it is done on ImageNet (CO-SSL, appendix A.1; `methods.md` E.2): a layer on frozen features of
images that are seen in a random crop, mirrored half of the time, anew in each epoch.

The layer reads the global representation as it is, as in the papers, whereas the stage `linear` standardises it. What
is kept is the layer after the last epoch. `top1` is that of the test images, as evaluation sees them, in per cent.
"""

import torch
import torch.nn.functional as F
from torch import nn

from whole_in_parts.config.tasks.linear_on_crops import LinearOnCropsConfig
from whole_in_parts.data import sample_order
from whole_in_parts.evaluation import linear_probe
from whole_in_parts.evaluation.features import features
from whole_in_parts.evaluation.task import TaskContext, decode_all, random_crops, shared_class_names
from whole_in_parts.progress import progress


def evaluate(context: TaskContext, options: LinearOnCropsConfig) -> dict[str, float]:
    decode_all(context.test)
    layer = train(context, options)
    unseen = features(context.backbone, context.test, context.device, "test")
    with torch.no_grad():
        logits_NC = layer(unseen.features_ND.to(context.device)).cpu()
    return {"top1": linear_probe.top1(logits_NC, unseen.labels_N)}


def train(context: TaskContext, options: LinearOnCropsConfig) -> nn.Linear:
    """A classifier (D → C); always the same for the same backbone, images and options."""
    nothing_0D = torch.empty(0, context.backbone.features, device=context.device)
    layer = linear_probe.zero_linear(nothing_0D, len(shared_class_names(context)))
    optimizer = torch.optim.SGD(
        layer.parameters(), options.learning_rate, momentum=linear_probe.MOMENTUM, weight_decay=options.weight_decay
    )
    in_epoch = sample_order.steps_per_epoch(len(context.train), options.batch_size)
    for step in progress(range(options.epochs * in_epoch), "linear on crops", unit="step"):
        optimizer.param_groups[0]["lr"] = linear_probe.learning_rate(options, step // in_epoch)
        images_BCHW, labels_B = random_crops(context, options.batch_size, options.seed, step)
        with torch.no_grad():
            global_BD = context.backbone(images_BCHW).global_BD
        optimizer.zero_grad()
        F.cross_entropy(layer(global_BD), labels_B).backward()
        optimizer.step()
    return layer
