"""Modifiers of a base method, one file each: written once, for every base that can carry them."""

import importlib
from collections.abc import Sequence

from torch import Tensor

from whole_in_parts.augment.views import Batch, Crop
from whole_in_parts.methods.base import Losses, Method
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.schedules import Clock


class Modified(Method):
    """A base method, of which a subclass changes what it has to."""

    def __init__(self, base: Method, options):
        super().__init__()
        self.base, self.options = base, options

    @property
    def backbone(self) -> Backbone:  # type: ignore[override]
        return self.base.backbone

    def crops(self, views: Sequence, size: int) -> list[Crop]:
        return self.base.crops(views, size)

    def forward(self, batch: Batch) -> Losses:
        return self.base(batch)

    def project(self, global_BD: Tensor) -> Tensor:
        return self.base.project(global_BD)

    def prepare(self, clock: Clock) -> None:
        self.base.prepare(clock)

    def backward(self, losses: Losses) -> None:
        self.base.backward(losses)

    def update(self, clock: Clock) -> None:
        self.base.update(clock)


def apply_modifier(method: Method, options, size: int) -> Method:
    """The method as `options.name` changes it (the file of that name in this folder), for views of `size` pixels.

    Which modifiers a method can carry is said in `whole_in_parts/config/methods.py`, and checked when a study is read.

    Raises:
        ValueError: an option does not go with the backbone.
    """
    return importlib.import_module(f"whole_in_parts.modifiers.{options.name}").modify(method, options, size)
