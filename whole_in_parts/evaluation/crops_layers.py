"""The linear layers of the probe on random crops: one for each representation at each learning rate.

Several processes share each batch: every one computes the features of its part, and all take the same step on those of
the complete batch. Shapes: B images of a batch, N images, D features.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from whole_in_parts.config.evaluations import LinearOnCrops
from whole_in_parts.data.shards import Images
from whole_in_parts.distributed.collectives import gather_uneven
from whole_in_parts.evaluation import linear_probe
from whole_in_parts.evaluation.features import iter_rows, select_representation
from whole_in_parts.evaluation.linear_probe import zero_linear
from whole_in_parts.models.backbone import Backbone

AllLayers = dict[str, list[nn.Linear]]
"""For each representation its layers."""


class Choice(NamedTuple):
    """A layer of a representation: its learning rate, the epoch after which it was taken, its top-1 on held-out images.

    The accuracy is in per cent, and None without held-out images.
    """

    layer: nn.Linear
    learning_rate: float
    epoch: int
    held_out_top1: float | None


class Layers:
    """A layer for each representation at each learning rate, and their optimizer."""

    def __init__(self, backbone: Backbone, images: Images, options: LinearOnCrops, device: torch.device) -> None:
        self.backbone = backbone
        self.options = options
        self.device = device

        inferred = backbone.infer(images.size)
        classes = len(images.shards.classes)
        self.layers: AllLayers = {}
        for name in options.representations:
            x_1D = torch.empty(1, select_representation(inferred, name).shape[1], device=device)
            self.layers[name] = [zero_linear(x_1D, classes) for _ in options.learning_rates]

        groups = [
            {"params": layer.parameters(), "initial": rate}
            for of_rates in self.layers.values()
            for rate, layer in zip(options.learning_rates, of_rates, strict=True)
        ]
        self.optimizer = torch.optim.SGD(
            groups, lr=0.0, momentum=linear_probe.MOMENTUM, weight_decay=options.weight_decay
        )

    def step(self, images_BCHW: Tensor, labels_B: Tensor, epoch: int) -> None:
        """Take a step of all layers on a batch, of which every process has a part (a collective)."""
        with torch.no_grad():
            representations = self.backbone(images_BCHW)
            features = {name: gather_uneven(select_representation(representations, name)) for name in self.layers}
        labels_B = gather_uneven(labels_B)

        for group in self.optimizer.param_groups:
            group["lr"] = linear_probe.learning_rate(group["initial"], self.options, epoch)
        self.optimizer.zero_grad()
        losses = [
            F.cross_entropy(layer(features[name]), labels_B)
            for name, of_rates in self.layers.items()
            for layer in of_rates
        ]
        torch.stack(losses).sum().backward()
        self.optimizer.step()

    def choose(self, images: Images, held_out_N: NDArray[np.int64], epoch: int) -> dict[str, Choice]:
        """Choose for each representation the layer that is best on held-out images (a collective).

        Without held-out images there is one learning rate, and so one layer.
        """
        if not len(held_out_N):
            (rate,) = self.options.learning_rates
            return {name: Choice(layer, rate, epoch, None) for name, (layer,) in self.layers.items()}

        labels_N = torch.from_numpy(images.shards.labels[held_out_N])
        predicted = predict(self.backbone, self.layers, images, held_out_N, self.device)
        choices = {}
        for name, of_rates in predicted.items():
            accuracies = [accuracy(predicted_N, labels_N) for predicted_N in of_rates]
            best = int(np.argmax(accuracies))
            choices[name] = Choice(self.layers[name][best], self.options.learning_rates[best], epoch, accuracies[best])
        return choices

    def state_dict(self) -> dict[str, Any]:
        states = {name: [layer.state_dict() for layer in of_rates] for name, of_rates in self.layers.items()}
        return {"layers": states, "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, of_rates in self.layers.items():
            for layer, weights in zip(of_rates, state["layers"][name], strict=True):
                layer.load_state_dict(weights)
        self.optimizer.load_state_dict(state["optimizer"])


@torch.no_grad()
def predict(
    backbone: Backbone,
    layers: AllLayers,
    images: Images,
    indices_N: NDArray[np.int64],
    device: torch.device,
) -> dict[str, list[Tensor]]:
    """Predict the classes (N,) of the indexed images, not augmented, by each layer of each representation.

    Every process predicts those of its part of the images (a collective).
    """

    def compute(_: NDArray[np.int64], images_BCHW: Tensor) -> Tensor:
        representations = backbone(images_BCHW)
        inputs = {name: select_representation(representations, name) for name in layers}
        return torch.stack([layer(inputs[name]).argmax(1) for name in layers for layer in layers[name]], 1)

    predicted_NL = torch.cat(list(iter_rows(compute, images, indices_N, device, "evaluate")))
    columns = iter(predicted_NL.T)
    return {name: [next(columns) for _ in of_name] for name, of_name in layers.items()}


def accuracy(predicted_N: Tensor, labels_N: Tensor) -> float:
    """Compute the accuracy in per cent."""
    return round(100 * (predicted_N == labels_N).double().mean().item(), 4)
