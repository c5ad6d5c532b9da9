"""Linear evaluation as on ImageNet (CO-SSL, appendix A.1; `docs/methods.md` E.2): a layer on frozen features of random
crops, drawn anew in each epoch and flipped horizontally half of the time.

As in the papers, the representation is not standardised, unlike in the stage `linear`. The layer after the last epoch
is kept. Of several learning rates, which are trained in one pass of the backbone, the one that is best on held-out
training images is evaluated; `learning_rate` is that one, and `held_out_top1` its accuracy there. `top1` is the
accuracy on the test images, without augmentation, in per cent.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from whole_in_parts.augment.randomness import stratified
from whole_in_parts.config.tasks.linear_on_crops import LinearOnCropsConfig
from whole_in_parts.data import sample_order
from whole_in_parts.data.shards import Images
from whole_in_parts.evaluation import linear_probe
from whole_in_parts.evaluation.features import iter_batches, require_representations, select_representation
from whole_in_parts.evaluation.task import TaskContext, decode_all, random_crops, shared_class_names
from whole_in_parts.failure import Failure
from whole_in_parts.progress import progress


def evaluate(context: TaskContext, options: LinearOnCropsConfig) -> dict[str, float]:
    require_representations(context.backbone, [options.representation], "task.representation")
    # A broken test image should fail the task before the training.
    decode_all(context.test)
    test_N = np.arange(len(context.test))

    if len(options.learning_rates) == 1:
        (layer,) = train(context, options, np.arange(len(context.train)))
        return {"top1": accuracy(layer, context, options, context.test, test_N)}

    held_out_N = held_out_indices(context, options)
    layers = train(context, options, np.setdiff1d(np.arange(len(context.train)), held_out_N))
    accuracies = [accuracy(layer, context, options, context.train, held_out_N) for layer in layers]
    best = int(np.argmax(accuracies))
    return {
        "top1": accuracy(layers[best], context, options, context.test, test_N),
        "learning_rate": options.learning_rates[best],
        "held_out_top1": accuracies[best],
    }


def held_out_indices(context: TaskContext, options: LinearOnCropsConfig) -> NDArray[np.int64]:
    """Draw the training images that choose the learning rate, the same fraction of each class.

    Raises:
        Failure: the fraction is less than one image of every class.
    """
    labels = context.train.shards.labels
    indices = stratified(labels, options.held_out * len(labels), options.seed, "held out")
    if not len(indices):
        raise Failure(f"task.held_out: {options.held_out} of {len(labels)} images is not one of any class; raise it")
    return indices


def train(context: TaskContext, options: LinearOnCropsConfig, indices_N: NDArray[np.int64]) -> list[nn.Linear]:
    """Train a classifier (D → C) at each learning rate; deterministic for the same backbone, images and options."""
    classes = len(shared_class_names(context))
    steps_per_epoch = sample_order.steps_per_epoch(len(indices_N), options.batch_size)
    steps = options.epochs * steps_per_epoch
    crops = random_crops(context, indices_N, options.batch_size, options.seed, steps)

    layers: list[nn.Linear] = []
    optimizers: list[torch.optim.SGD] = []
    for step, (images_BCHW, labels_B) in enumerate(progress(crops, "linear on crops", unit="step", total=steps)):
        with torch.no_grad():
            x_BD = select_representation(context.backbone(images_BCHW), options.representation)
        if not layers:
            layers = [linear_probe.zero_linear(x_BD, classes) for _ in options.learning_rates]
            optimizers = [
                torch.optim.SGD(layer.parameters(), momentum=linear_probe.MOMENTUM, weight_decay=options.weight_decay)
                for layer in layers
            ]

        for initial, layer, optimizer in zip(options.learning_rates, layers, optimizers, strict=True):
            optimizer.param_groups[0]["lr"] = linear_probe.learning_rate(initial, options, step // steps_per_epoch)
            optimizer.zero_grad()
            F.cross_entropy(layer(x_BD), labels_B).backward()
            optimizer.step()
    return layers


@torch.no_grad()
def accuracy(
    layer: nn.Linear, context: TaskContext, options: LinearOnCropsConfig, images: Images, indices_N: NDArray[np.int64]
) -> float:
    """Evaluate a classifier on the indexed images, without augmentation, in per cent."""
    logits = []
    for _, images_BCHW in iter_batches(images, indices_N, context.device, "evaluate"):
        x_BD = select_representation(context.backbone(images_BCHW), options.representation)
        logits.append(layer(x_BD).cpu())
    return linear_probe.top1(torch.cat(logits), torch.from_numpy(images.shards.labels[indices_N]))
