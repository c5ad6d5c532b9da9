"""A modifier of a method: it wraps a base and overrides parts of its interface."""

import importlib
from collections.abc import Sequence
from typing import Generic, TypeVar

from torch import Tensor

from whole_in_parts.augment.views import Batch, Crop
from whole_in_parts.config.modifier import ModifierConfig
from whole_in_parts.config.views import View
from whole_in_parts.methods.base import Losses, Method, Output
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.schedules import Clock

BaseT = TypeVar("BaseT", bound=Method)
OptionsT = TypeVar("OptionsT", bound=ModifierConfig)


class Modified(Method, Generic[BaseT, OptionsT]):
    """A base method that a subclass changes in part."""

    base: BaseT

    def __init__(self, base: BaseT, options: OptionsT) -> None:
        super().__init__()
        self.base = base
        self.options = options
        self.decays_1d = base.decays_1d

    @property
    def backbone(self) -> Backbone:  # type: ignore[override]
        return self.base.backbone

    def crops(self, views: Sequence[View], size: int) -> list[Crop]:
        return self.base.crops(views, size)

    def forward(self, batch: Batch) -> Output:
        return self.base(batch)

    def project(self, global_BD: Tensor) -> Tensor:
        return self.base.project(global_BD)

    def prepare(self, clock: Clock) -> None:
        self.base.prepare(clock)

    def backward(self, losses: Losses) -> None:
        self.base.backward(losses)

    def update(self, clock: Clock) -> None:
        self.base.update(clock)


def apply_modifier(method: Method, options: ModifierConfig, size: int) -> Method:
    """Wrap a method by the modifier of `modifiers/NAME.py`, where NAME is `options.name`, for views of `size` pixels.

    Which methods a modifier supports, its options say (`config/modifiers/`); a study is checked when it is read.

    Raises:
        ValueError: an option does not fit the backbone.
    """
    return importlib.import_module(f"whole_in_parts.modifiers.{options.name}").modify(method, options, size)
