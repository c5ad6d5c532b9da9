"""Options of the backbone `rf_resnet` (`models/backbones/rf_resnet.py`)."""

from typing import Literal, Self

from pydantic import model_validator

from whole_in_parts.config.backbones.resnet import ResNetConfig


class RFResNetConfig(ResNetConfig):
    """A ResNet of restricted receptive field; `mlp: false` is the paper's `v0`."""

    name: Literal["rf_resnet"]  # type: ignore[assignment]
    mlp: bool

    @model_validator(mode="after")
    def blocks_have_a_middle(self) -> Self:
        if min(self.blocks) < 3:
            raise ValueError(
                f"blocks: a stage of an RF-ResNet has at least 3, so that the middle is not the first; {self.blocks}"
            )
        return self
