"""Linear layers on frozen features of random crops, drawn anew in each epoch: the offline probe of the papers.

A layer is trained for each representation at each learning rate, all in one pass of the backbone (CO-SSL, appendix A.1;
`docs/methods.md` E.2). As in the papers, representations are not standardised, unlike in `linear_probe.py`. Held-out
training images choose among the learning rates and among the epochs; test images choose nothing.

Shapes: N images.
"""

import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.augment.randomness import stratified
from whole_in_parts.checkpoints import Checkpoints
from whole_in_parts.config.evaluations import LinearOnCrops
from whole_in_parts.data import sample_order
from whole_in_parts.data.shards import Images
from whole_in_parts.distributed.environment import is_rank_zero
from whole_in_parts.distributed.group import assert_same_config
from whole_in_parts.evaluation.crops_layers import AllLayers, Choice, Layers, accuracy, predict
from whole_in_parts.evaluation.metric_names import suffix
from whole_in_parts.evaluation.random_crops import random_crops
from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.progress import progress


class Fitted(NamedTuple):
    """For each representation the layer of the last epoch and, if asked for, that of the best one."""

    final: dict[str, Choice]
    best: dict[str, Choice]


def fit(
    backbone: Backbone, images: Images, options: LinearOnCrops, checkpoints: Checkpoints, device: torch.device
) -> Fitted:
    """Train the layers, resuming from the checkpoint of a killed training; deterministic for the same inputs.

    Raises:
        Failure: the held-out fraction is less than one image of every class, or processes resume from different steps.
        ValueError: there are fewer images than in a batch.
    """
    held_out_N = held_out_indices(images, options)
    trained_N = np.setdiff1d(np.arange(len(images)), held_out_N)
    steps_per_epoch = sample_order.steps_per_epoch(len(trained_N), options.batch_size)
    steps = options.epochs * steps_per_epoch
    layers = Layers(backbone, images, options, device)
    best: dict[str, Choice] = {}
    first = 0
    if state := checkpoints.load():
        with checkpoints.restoring():
            first = restore(state, layers, best)
    assert_same_config({"the step to go on from": str(first)})

    crops = random_crops(images, trained_N, options.batch_size, options.seed, range(first, steps), device)
    bar = progress(crops, "linear on crops", unit="step", initial=first, total=steps)
    for step, (images_BCHW, labels_B) in enumerate(bar, first):
        epoch = step // steps_per_epoch
        layers.step(images_BCHW, labels_B, epoch)
        if options.best_epoch and (step + 1) % steps_per_epoch == 0:
            keep_better(best, layers.choose(images, held_out_N, epoch + 1))
        if is_rank_zero() and checkpoints.due():
            checkpoints.save(saved_state(step + 1, layers, best))

    return Fitted(layers.choose(images, held_out_N, options.epochs), best)


def evaluate(
    backbone: Backbone, fitted: Fitted, test: Images, device: torch.device
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Evaluate the layers on all test images (a collective).

    Returns the metrics, accuracies in per cent, and the classes (N,) that the final layer of each representation
    predicts. `top1` is of the last epoch, `top1_best_epoch` of the one that was best on held-out images.
    """
    layers: AllLayers = {name: [choice.layer] for name, choice in fitted.final.items()}
    for name, choice in fitted.best.items():
        layers[name].append(choice.layer)

    predicted = predict(backbone, layers, test, np.arange(len(test)), device)
    labels_N = torch.from_numpy(test.shards.labels)
    metrics: dict[str, float] = {}
    for name, final in fitted.final.items():
        end = suffix(name)
        metrics[f"top1{end}"] = accuracy(predicted[name][0], labels_N)
        if final.held_out_top1 is not None:
            metrics |= {f"learning_rate{end}": final.learning_rate, f"held_out_top1{end}": final.held_out_top1}
        if name in fitted.best:
            metrics[f"top1_best_epoch{end}"] = accuracy(predicted[name][1], labels_N)
            metrics[f"best_epoch{end}"] = fitted.best[name].epoch
    return metrics, {name: of_layers[0] for name, of_layers in predicted.items()}


def held_out_indices(images: Images, options: LinearOnCrops) -> NDArray[np.int64]:
    """Draw the training images that choose, the same fraction of each class; none if there is nothing to choose.

    Raises:
        Failure: the fraction is less than one image of every class.
    """
    if not options.chooses:
        return np.empty(0, np.int64)
    labels = images.shards.labels
    indices = stratified(labels, options.held_out * len(labels), options.seed, "held out")
    if not len(indices):
        raise Failure(f"held_out: {options.held_out} of {len(labels)} images is not one of any class; raise it")
    return indices


def keep_better(best: dict[str, Choice], choices: dict[str, Choice]) -> None:
    """Replace the choices of earlier epochs by copies of those that are better on held-out images."""
    for name, choice in choices.items():
        if name not in best or (choice.held_out_top1 or 0) > (best[name].held_out_top1 or 0):
            best[name] = choice._replace(layer=copy.deepcopy(choice.layer))


def saved_state(step: int, layers: Layers, best: dict[str, Choice]) -> dict[str, Any]:
    """Collect all that the next step depends on."""
    best_states = {name: choice._asdict() | {"layer": choice.layer.state_dict()} for name, choice in best.items()}
    return layers.state_dict() | {"step": step, "best": best_states}


def restore(state: dict[str, Any], layers: Layers, best: dict[str, Choice]) -> int:
    """Restore the state of a checkpoint, and return the next step."""
    layers.load_state_dict(state)
    for name, saved in state["best"].items():
        layer = copy.deepcopy(layers.layers[name][0])
        layer.load_state_dict(saved["layer"])
        best[name] = Choice(**saved | {"layer": layer})
    return state["step"]
