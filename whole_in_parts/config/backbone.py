"""Base classes of the options of all backbones."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from whole_in_parts.config.section import Count, Fraction, Positive, Section
from whole_in_parts.config.variants import read_variant


class BackboneConfig(Section):
    """A backbone whose input images have `channels` channels, normalised with `mean` and `std`."""

    convolutional: ClassVar[bool] = True
    """Whether the receptive field of its local representations follows from the formula for convolutions."""
    name: str
    """Selects the backbone."""
    channels: Literal[1, 3]
    """Channels of the input images: 1 (greyscale) or 3 (RGB)."""
    mean: list[Fraction]
    """Mean of each channel, for pixels between 0 and 1; subtracted from the input."""
    std: list[Positive]
    """Standard deviation of each channel, for pixels between 0 and 1; the input is divided by it."""

    @model_validator(mode="after")
    def each_channel_has_its_mean_and_std(self) -> Self:
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError(f"mean and std take one number for each of the {self.channels} channels")
        return self

    @property
    def architecture(self) -> str:
        """The name of the network in timm and torchvision if they have it, else that of this project."""
        return self.name

    @property
    def summary(self) -> str:
        """The short description that the report prints beside the name."""
        raise NotImplementedError


class StagedBackboneConfig(BackboneConfig):
    """A backbone of stages of residual blocks."""

    width: Count
    """Width (number of channels) of the first stage; each later stage doubles it."""
    blocks: Annotated[list[Count], Field(min_length=1)]
    """Number of residual blocks of each stage."""
    strides: Annotated[list[Count], Field(min_length=1)]
    """Stride of the first block of each stage; as many numbers as `blocks`."""

    @model_validator(mode="after")
    def lengths_agree(self) -> Self:
        if len(self.blocks) != len(self.strides):
            raise ValueError(
                f"blocks has {len(self.blocks)} stages and strides {len(self.strides)}: both take one number per stage"
            )
        return self


def backbone_config(content: dict[str, object]) -> BackboneConfig:
    """Validate the saved options of a backbone.

    Raises:
        ValueError: the options are not valid.
    """
    return read_variant("backbones", content)
