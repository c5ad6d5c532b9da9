"""The linear probe: one linear layer on frozen features, by SGD with momentum and a cosine schedule.

Features are standardised by the mean and deviation of the training split, and the layer that is kept has that folded
in: it reads features as they are.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stages.images.randomness import permutation
from stages.methods import cosine
from stages.probing.features import Features
from stages.program import progress

MOMENTUM = 0.9
SMALLEST_DEVIATION = 1e-6


def train(content: Features, classes: int, options) -> nn.Linear:
    """Fit a classifier (D → classes) as the study's `linear` section says; always the same for the same features."""
    mean_D, std_D = content.features_ND.mean(0), content.features_ND.std(0).clamp(min=SMALLEST_DEVIATION)
    x_ND, y_N = (content.features_ND - mean_D) / std_D, content.labels_N
    layer = nn.Linear(x_ND.shape[1], classes)
    layer.load_state_dict({name: torch.zeros_like(value) for name, value in layer.state_dict().items()})
    optimizer = torch.optim.SGD(
        layer.parameters(), options.learning_rate, momentum=MOMENTUM, weight_decay=options.weight_decay
    )
    for epoch in progress(range(options.epochs), "linear probe", unit="epoch"):
        optimizer.param_groups[0]["lr"] = cosine(options.learning_rate, 0.0, epoch / options.epochs)
        for batch in torch.from_numpy(permutation(len(y_N), epoch, "linear")).split(options.batch_size):
            optimizer.zero_grad()
            F.cross_entropy(layer(x_ND[batch]), y_N[batch]).backward()
            optimizer.step()
    return fold(layer, mean_D, std_D)


@torch.no_grad()
def fold(layer: nn.Linear, mean_D: Tensor, std_D: Tensor) -> nn.Linear:
    """The layer that gives for x what `layer` gives for (x − mean) / std."""
    layer.weight.div_(std_D)
    layer.bias.sub_(layer.weight @ mean_D)
    return layer.requires_grad_(False)


def top1(logits_NK: Tensor, labels_N: Tensor) -> float:
    """Accuracy in per cent."""
    correct_N = logits_NK.argmax(1) == labels_N
    return round(100 * correct_N.double().mean().item(), 4)


def save(layer: nn.Linear, file: Path) -> None:
    save_file({"weight": layer.weight.contiguous(), "bias": layer.bias}, file)


def load(file: Path, device: torch.device) -> nn.Linear:
    """Read what `save` wrote."""
    weights = load_file(file)
    layer = nn.Linear(weights["weight"].shape[1], weights["weight"].shape[0])
    layer.load_state_dict(weights)
    return layer.to(device).requires_grad_(False)
