"""Methods of pretraining, one file each: what a base offers to the training loop and to the modifiers."""

import importlib
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from stages.backbones import Backbone
from stages.images.views import Batch, Crop

Losses = dict[str, Tensor]


class Clock(NamedTuple):
    """Where a training stands: `step` of `steps` optimizer steps are done, `per_epoch` of them in an epoch."""

    step: int
    steps: int
    per_epoch: int
    learning_rate: float = 0.0

    @property
    def progress(self) -> float:
        """The share of the steps that are done, in [0, 1]."""
        return self.step / self.steps

    @property
    def epoch(self) -> float:
        """How many epochs are done; not a whole number within one."""
        return self.step / self.per_epoch


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

    def project(self, whole_BD: Tensor) -> Tensor:
        """The embedding in which the loss compares representations, to tell a collapse by."""
        return whole_BD

    def prepare(self, clock: Clock) -> None:
        """Called before each step, for what follows a schedule."""

    def backward(self, losses: Losses) -> None:
        """Leave the gradient of the loss in the parameters."""
        torch.stack(list(losses.values())).sum().backward()

    def update(self, clock: Clock) -> None:
        """Called after each optimizer step, which the clock counts already."""


def build(options, backbone: Backbone, classes: int, size: int) -> Method:
    """The method that `options.name` names (the file of that name in this folder), for views of `size` pixels.

    Raises:
        ValueError: an option does not go with the backbone.
    """
    return importlib.import_module(f"stages.methods.{options.name}").build(options, backbone, classes, size)
