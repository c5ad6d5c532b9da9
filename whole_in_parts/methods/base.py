"""Methods of pretraining, one file each: what a base offers to the training loop and to the modifiers."""

import importlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from whole_in_parts.augment.views import Batch, Crop
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.schedules import Clock

Losses = dict[str, Tensor]


class Method(nn.Module):
    """What is trained: a backbone and all that its loss needs.

    `backbone` is the network to keep; `views` is how many of the run's views the method asks for.
    """

    backbone: Backbone
    views = 2

    def crops(self, views: Sequence, size: int) -> list[Crop]:
        """What each batch is made of: the run's views, large ones first, and what a modifier adds."""
        return [Crop(view, size) for view in views[: self.views]]

    def forward(self, batch: Batch) -> Losses:
        """The named terms of the loss; the loop logs them, and `backward` sums them."""
        raise NotImplementedError

    def project(self, global_BD: Tensor) -> Tensor:
        """The embedding in which the loss compares representations, to tell a collapse by."""
        return global_BD

    def prepare(self, clock: Clock) -> None:
        """Called before each step, for what follows a schedule."""

    def backward(self, losses: Losses) -> None:
        """Leave the gradient of the loss in the parameters."""
        torch.stack(list(losses.values())).sum().backward()

    def update(self, clock: Clock) -> None:
        """Called after each optimizer step, which the clock counts already."""


def build_method(options, backbone: Backbone, classes: int, size: int) -> Method:
    """The method that `options.name` names (the file of that name in this folder), for views of `size` pixels.

    Raises:
        ValueError: an option does not go with the backbone.
    """
    return importlib.import_module(f"whole_in_parts.methods.{options.name}").build(options, backbone, classes, size)
