"""The linear probe: a linear layer on frozen features, trained by SGD with momentum.

Features are standardised by the mean and standard deviation of the training split. The standardisation is then folded
into the layer, so that the returned layer takes raw features. The layer after the last epoch is kept: selecting the
best epoch on the test split would bias the accuracy upwards. Shapes: N samples, D features, C classes.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from whole_in_parts.async_copy import copy_async
from whole_in_parts.augment.randomness import permutation, stratified
from whole_in_parts.config.evaluations import Linear, LinearOnCrops
from whole_in_parts.evaluation.features import Features
from whole_in_parts.failure import UNFIT, Failure, described
from whole_in_parts.progress import progress
from whole_in_parts.schedules import cosine
from whole_in_parts.shapes import Float, Int

MOMENTUM = 0.9
MIN_STD = 1e-6
MILESTONES = (60, 80)
"""Per cent of the epochs after which the schedule `steps` divides the learning rate by ten (`docs/methods.md` E.2)."""


def train(features: Features, classes: int, options: Linear) -> nn.Linear:
    """Train a classifier (D → C) with the options of the section `linear`; deterministic for the same features."""
    mean_D = features.features_ND.mean(0)
    std_D = features.features_ND.std(0).clamp(min=MIN_STD)
    x_ND = (features.features_ND - mean_D) / std_D
    y_N = features.labels_N

    layer = zero_linear(x_ND, classes)
    optimizer = torch.optim.SGD(
        layer.parameters(), options.learning_rate, momentum=MOMENTUM, weight_decay=options.weight_decay
    )

    for epoch in progress(range(options.epochs), "linear probe", unit="epoch"):
        optimizer.param_groups[0]["lr"] = learning_rate(options.learning_rate, options, epoch)
        order_N = copy_async(torch.from_numpy(permutation(len(y_N), epoch, "linear")), y_N.device)
        for batch_B in order_N.split(options.batch_size):
            optimizer.zero_grad()
            F.cross_entropy(layer(x_ND[batch_B]), y_N[batch_B]).backward()
            optimizer.step()

    return fold_standardisation(layer, mean_D, std_D)


def learning_rate(initial: float, options: Linear | LinearOnCrops, epoch: int) -> float:
    """Compute the learning rate of an epoch: a cosine to zero, or a division by ten at each of `MILESTONES`."""
    if options.schedule == "steps":
        return initial * 0.1 ** sum(100 * epoch >= percent * options.epochs for percent in MILESTONES)
    return cosine(initial, 0.0, epoch / options.epochs)


def zero_linear(x_ND: Float[Tensor, "N D"], classes: int) -> nn.Linear:
    """Create a classifier with zero weights and biases, of the width, device and dtype of `x_ND`."""
    layer = nn.Linear(x_ND.shape[1], classes, device=x_ND.device, dtype=x_ND.dtype)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


@torch.no_grad()
def fold_standardisation(layer: nn.Linear, mean_D: Float[Tensor, "D"], std_D: Float[Tensor, "D"]) -> nn.Linear:
    """Change `layer` in place so that it gives for x the former output for (x − mean) / std; freeze it."""
    layer.weight.div_(std_D)
    layer.bias.sub_(layer.weight @ mean_D)
    return layer.requires_grad_(False)


def label_fraction(features: Features, percent: int, section: str = "linear") -> Features:
    """Draw a percentage of the samples of each class, always the same; larger percentages contain smaller ones.

    Args:
        section: the section of the study that the error message names.

    Raises:
        Failure: the percentage is less than one sample of a class.
    """
    if percent == 100:
        return features
    indices = label_fraction_indices(features.labels_N.cpu().numpy(), percent, section)
    chosen = torch.from_numpy(indices)
    keys = [features.keys[index] for index in indices]
    return Features(keys, features.labels_N[chosen], features.features_ND[chosen])


def label_fraction_indices(labels: NDArray[np.int64], percent: int, section: str) -> NDArray[np.int64]:
    """Draw the indices of a percentage of the samples of each class from the labels (N,), as `label_fraction` does.

    Raises:
        Failure: the percentage is less than one sample of a class.
    """
    indices = stratified(labels, percent / 100 * len(labels), "labels")
    if len(lost := np.setdiff1d(labels, labels[indices])):
        count = (labels == lost[0]).sum()
        raise Failure(
            f"{section}.labels: {percent} % of the {count} training samples with label {lost[0]} is not one sample"
        )
    return indices


def top1(logits_NK: Float[Tensor, "N K"], labels_N: Int[Tensor, "N"]) -> float:
    """Compute the accuracy in per cent."""
    correct_N = logits_NK.argmax(1) == labels_N
    return round(100 * correct_N.double().mean().item(), 4)


def save(layer: nn.Linear, file: Path) -> None:
    """Write the weight and the bias of a classifier to a safetensors file."""
    save_file({"weight": layer.weight.contiguous().cpu(), "bias": layer.bias.cpu()}, file)


def load(file: Path, device: torch.device) -> nn.Linear:
    """Load a classifier that `save` wrote, without gradients.

    Raises:
        Failure: the file does not exist, is damaged or holds no classifier.
    """
    if not file.exists():
        raise Failure(f"{file}: there is no linear classifier; make it with: dvc repro linear@{file.parent.name}")
    try:
        weights = load_file(file)
        classes, features = weights["weight"].shape
        layer = nn.Linear(features, classes)
        layer.load_state_dict(weights)
    except (OSError, SafetensorError, *UNFIT) as error:
        raise Failure(f"{file}: no linear classifier that can be loaded ({described(error)})") from error
    return layer.to(device).requires_grad_(False)
