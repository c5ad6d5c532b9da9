"""The linear probe: one linear layer on frozen features, by SGD with momentum.

Features are standardised by the mean and deviation of the training split, and the layer that is kept has that folded
in: it reads features as they are. What is kept is the layer after the last epoch: picking the epoch that is best on the
test split would flatter it. Shapes: N samples, D features, C classes.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from whole_in_parts.async_copy import copy_async
from whole_in_parts.augment.randomness import permutation, stratified
from whole_in_parts.config.evaluations import Linear
from whole_in_parts.config.tasks.linear_on_crops import LinearOnCropsConfig
from whole_in_parts.evaluation.features import Features
from whole_in_parts.failure import Failure
from whole_in_parts.progress import progress
from whole_in_parts.schedules import cosine

MOMENTUM = 0.9
SMALLEST_DEVIATION = 1e-6
STEPS_AT = (60, 80)
"""Per cent of the epochs after which the schedule `steps` takes a tenth of the learning rate (`methods.md` E.2)."""


def train(content: Features, classes: int, options: Linear) -> nn.Linear:
    """Fit a classifier (D → classes) as the study's `linear` section says; always the same for the same features."""
    mean_D, std_D = content.features_ND.mean(0), content.features_ND.std(0).clamp(min=SMALLEST_DEVIATION)
    x_ND, y_N = (content.features_ND - mean_D) / std_D, content.labels_N
    layer = zero_linear(x_ND, classes)
    optimizer = torch.optim.SGD(
        layer.parameters(), options.learning_rate, momentum=MOMENTUM, weight_decay=options.weight_decay
    )
    for epoch in progress(range(options.epochs), "linear probe", unit="epoch"):
        optimizer.param_groups[0]["lr"] = learning_rate(options, epoch)
        order_N = copy_async(torch.from_numpy(permutation(len(y_N), epoch, "linear")), y_N.device)
        for batch_B in order_N.split(options.batch_size):
            optimizer.zero_grad()
            F.cross_entropy(layer(x_ND[batch_B]), y_N[batch_B]).backward()
            optimizer.step()
    return fold(layer, mean_D, std_D)


def learning_rate(options: Linear | LinearOnCropsConfig, epoch: int) -> float:
    """The learning rate of an epoch: down a cosine to nothing, or by a tenth at each of `STEPS_AT`."""
    if options.schedule == "steps":
        return options.learning_rate * 0.1 ** sum(100 * epoch >= percent * options.epochs for percent in STEPS_AT)
    return cosine(options.learning_rate, 0.0, epoch / options.epochs)


def zero_linear(x_ND: Tensor, classes: int) -> nn.Linear:
    """A classifier of zeros for features such as these."""
    layer = nn.Linear(x_ND.shape[1], classes, device=x_ND.device, dtype=x_ND.dtype)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


@torch.no_grad()
def fold(layer: nn.Linear, mean_D: Tensor, std_D: Tensor) -> nn.Linear:
    """The layer that gives for x what `layer` gives for (x − mean) / std."""
    layer.weight.div_(std_D)
    layer.bias.sub_(layer.weight @ mean_D)
    return layer.requires_grad_(False)


def label_fraction(content: Features, percent: int, section: str = "linear") -> Features:
    """The samples of which the labels are used: so many per cent of each class, drawn once; more include fewer.

    Args:
        section: the part of the study that asks, for a message.

    Raises:
        Failure: that is not one sample of some class.
    """
    if percent == 100:
        return content
    labels = content.labels_N.cpu().numpy()
    indices = stratified(labels, percent / 100 * len(labels), "labels")
    if lost := sorted(set(labels.tolist()) - set(labels[indices].tolist())):
        has = (labels == lost[0]).sum()
        raise Failure(
            f"{section}.labels: {percent} % of the {has} training samples with label {lost[0]} is not one sample"
        )
    some_N = torch.from_numpy(indices)
    return Features([content.keys[number] for number in indices], content.labels_N[some_N], content.features_ND[some_N])


def top1(logits_NK: Tensor, labels_N: Tensor) -> float:
    """Accuracy in per cent."""
    correct_N = logits_NK.argmax(1) == labels_N
    return round(100 * correct_N.double().mean().item(), 4)


def save(layer: nn.Linear, file: Path) -> None:
    save_file({"weight": layer.weight.contiguous().cpu(), "bias": layer.bias.cpu()}, file)


def load(file: Path, device: torch.device) -> nn.Linear:
    """Read what `save` wrote.

    Raises:
        Failure: it is not there.
    """
    if not file.exists():
        raise Failure(f"{file}: there is no linear classifier; make it with: dvc repro linear@{file.parent.name}")
    weights = load_file(file)
    layer = nn.Linear(weights["weight"].shape[1], weights["weight"].shape[0])
    layer.load_state_dict(weights)
    return layer.to(device).requires_grad_(False)
