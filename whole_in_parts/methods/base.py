"""The interface between a method of pretraining, the training loop and the modifiers.

Shapes: B images, C channels, S×S pixels, D features.
"""

import importlib
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from whole_in_parts.augment.views import Batch, Crop
from whole_in_parts.config.method import MethodConfig
from whole_in_parts.config.views import View
from whole_in_parts.models.backbone import Backbone, Representations
from whole_in_parts.schedules import Clock
from whole_in_parts.shapes import Float

Losses = dict[str, Tensor]
"""The named terms of a loss, each a scalar."""


class Output(NamedTuple):
    """The result of a method's forward pass.

    `features` are the representations of the run's views, one view after the other, by the backbone that is kept,
    without gradients: `global` (V·B, D) and, if layers follow the pooling, `patch` (V·B, C). The online evaluation
    learns from them.
    """

    losses: Losses
    features: dict[str, Tensor]


class Method(nn.Module):
    """A backbone with everything that its loss needs.

    `backbone` is the network that is kept after training; `views` is how many of the run's views the method uses.
    """

    backbone: Backbone
    views = 2
    decays_1d = False
    """Whether the method's authors apply the weight decay of SGD to biases and norms too."""

    def crops(self, views: Sequence[View], size: int) -> list[Crop]:
        """The crops of a batch: the run's views of `size` pixels first, then the crops that a modifier adds."""
        return [Crop(view, size) for view in views[: self.views]]

    def forward(self, batch: Batch) -> Output:
        """Compute the loss of a batch; the loop logs its terms, and `backward` sums them."""
        raise NotImplementedError

    def project(self, global_BD: Float[Tensor, "B C"]) -> Float[Tensor, "B D"]:
        """Project global representations to the embeddings that the loss compares, to detect a collapse there."""
        return global_BD

    def load_released(self) -> None:
        """Load weights that others trained; a method that trains has none.

        Raises:
            Failure: they cannot be had, or do not fit.
        """

    def prepare(self, clock: Clock) -> None:
        """Set scheduled values before a step."""

    def backward(self, losses: Losses) -> None:
        """Add the gradient of the loss to the parameters."""
        torch.stack(list(losses.values())).sum().backward()

    def update(self, clock: Clock) -> None:
        """Update EMA teachers, queues and centres after an optimizer step, which `clock.step` includes already."""


def kept_features(views: Sequence[Representations]) -> dict[str, Tensor]:
    """The representations of views as the online evaluation takes them: in single precision, without gradients.

    `patch` is left out if it is `global`, since nothing follows the pooling.
    """
    features = {"global": [view.global_BD for view in views]}
    if views[0].pooled_BC is not views[0].global_BD:
        features["patch"] = [view.pooled_BC for view in views]
    return {name: torch.cat(of_views).detach().float() for name, of_views in features.items()}


def build_method(options: MethodConfig, backbone: Backbone, classes: int, size: int) -> Method:
    """Build the method of `methods/NAME.py`, where NAME is `options.name`, for views of `size` pixels.

    Raises:
        ValueError: an option does not fit the backbone.
    """
    return importlib.import_module(f"whole_in_parts.methods.{options.name}").build(options, backbone, classes, size)
