"""What the options of all backbones have in common."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from whole_in_parts.config.section import Count, Fraction, Positive, Section
from whole_in_parts.config.variants import read_variant


class BackboneConfig(Section):
    """A backbone that takes images of so many channels, normalised by a mean and deviation of each."""

    convolutional: ClassVar[bool] = True
    """Whether its local representations have a receptive field that the formula gives."""
    name: str
    channels: Literal[1, 3]
    mean: list[Fraction]
    std: list[Positive]

    @model_validator(mode="after")
    def each_channel_has_its_mean_and_std(self) -> Self:
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError(f"mean and std take one number for each of the {self.channels} channels")
        return self

    @property
    def summary(self) -> str:
        """What the report says of it, beside its name."""
        raise NotImplementedError


class StagedBackboneConfig(BackboneConfig):
    """Stages of residual blocks: the width of the first stage, and blocks and stride of each."""

    width: Count
    blocks: Annotated[list[Count], Field(min_length=1)]
    strides: Annotated[list[Count], Field(min_length=1)]

    @model_validator(mode="after")
    def lengths_agree(self) -> Self:
        if len(self.blocks) != len(self.strides):
            raise ValueError(f"blocks has {len(self.blocks)} stages and strides {len(self.strides)}: give both as many")
        return self


def backbone_config(content: dict[str, object]) -> BackboneConfig:
    """The options of a backbone, read back from where they were saved."""
    return read_variant("backbones", content)
