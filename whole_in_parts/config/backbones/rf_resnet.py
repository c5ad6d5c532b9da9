"""Options of the backbone `rf_resnet` (`models/backbones/rf_resnet.py`)."""

from typing import Literal, Self

from pydantic import model_validator

from whole_in_parts.config.backbones.resnet import ResNetConfig


class RFResNetConfig(ResNetConfig):
    """A ResNet with a restricted receptive field, after CO-SSL; each stage has at least 3 blocks."""

    name: Literal["rf_resnet"]  # type: ignore[assignment]
    """Selects RF-ResNet."""
    mlp: bool
    """Add an MLP of one residual block after the pooling; without it, it is the paper's `v0`."""

    @model_validator(mode="after")
    def stages_have_a_middle_block(self) -> Self:
        if min(self.blocks) < 3:
            raise ValueError(
                f"blocks: {self.blocks}; each stage of an RF-ResNet has 3 or more, so that the middle is not the first"
            )
        return self
