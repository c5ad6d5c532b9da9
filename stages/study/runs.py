"""The section `runs`: one pretraining each, with its backbone, method, modifier, views and optimizer."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, model_validator

from stages.study.section import Count, Name, NotNegative, Positive, Section, Share, Shares


class Stem(Section):
    """The first convolution: 3/1 without a pool for small images, 7/2 with one for large ones."""

    kernel: Count
    stride: Count
    pool: bool


class ResNet(Section):
    """A ResNet: the width of the first stage, and blocks and stride of each stage."""

    name: Literal["resnet"]
    block: Literal["basic", "bottleneck"]
    channels: Literal[1, 3]
    mean: list[Share]
    std: list[Positive]
    width: Count
    blocks: Annotated[list[Count], Field(min_length=1)]
    strides: Annotated[list[Count], Field(min_length=1)]
    stem: Stem

    @model_validator(mode="after")
    def lengths_agree(self):
        if len(self.blocks) != len(self.strides):
            raise ValueError(f"blocks has {len(self.blocks)} stages and strides {len(self.strides)}: give both as many")
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError(f"mean and std take one number for each of the {self.channels} channels")
        return self


class RFResNet(ResNet):
    """A ResNet of restricted receptive field; `mlp: false` is the paper's `v0`."""

    name: Literal["rf_resnet"]  # type: ignore[assignment]
    mlp: bool

    @model_validator(mode="after")
    def blocks_have_a_middle(self):
        if min(self.blocks) < 3:
            raise ValueError(
                f"blocks: a stage of an RF-ResNet has at least 3, so that the middle is not the first; {self.blocks}"
            )
        return self


BackboneOptions = ResNet | RFResNet


def backbone_options(content: dict[str, object]) -> BackboneOptions:
    """The options of a backbone, read back from where they were saved."""
    adapter: TypeAdapter[BackboneOptions] = TypeAdapter(Annotated[BackboneOptions, Field(discriminator="name")])
    return adapter.validate_python(content)


class Random(Section):
    """No training: `epochs` is 0."""

    name: Literal["random"]


class Supervised(Section):
    """Cross-entropy on the labels."""

    name: Literal["supervised"]


class BYOL(Section):
    """The widths of projector and predictor, and how the target network follows."""

    name: Literal["byol"]
    hidden: Count
    output: Count
    momentum: Shares
    """Of the target network: at the first step and at the last."""


class NoModifier(Section):
    """The base alone."""

    name: Literal["none"]


class CO(Section):
    """`weight` is w_s; `map_size` is n, of the n² local representations, and 0 takes the map as it is."""

    name: Literal["co"]
    weight: NotNegative
    map_size: Annotated[int, Field(ge=0)] = 0
    shared_heads: bool = False


class View(Section):
    """The augmentations of one view: shares are probabilities, strengths are those of torchvision's ColorJitter."""

    crop_scale: Shares
    flip: Share = 0.5
    jitter: Share = 0.8
    brightness: Share = 0.4
    contrast: Share = 0.4
    saturation: Share = 0.2
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    greyscale: Share = 0.2
    blur: Share = 0.0
    solarize: Share = 0.0


class Optimizer(Section):
    """`learning_rate` is for a batch of 256 and scales with the batch."""

    name: Literal["sgd", "adamw", "lars"]
    learning_rate: Positive
    weight_decay: NotNegative
    warmup_epochs: NotNegative


class Run(Section):
    """One pretraining: a method, its modifier and all else that its weights depend on."""

    dataset: Name
    method: Annotated[Random | Supervised | BYOL, Field(discriminator="name")]
    modifier: Annotated[NoModifier | CO, Field(discriminator="name")]
    backbone: Annotated[BackboneOptions, Field(discriminator="name")]
    image_size: Count
    views: Annotated[list[View], Field(min_length=2, max_length=2)]
    epochs: Annotated[int, Field(ge=0)]
    batch_size: Annotated[int, Field(ge=2)]
    optimizer: Optimizer
    seed: int

    @model_validator(mode="after")
    def trains_if_its_method_does(self):
        if (self.method.name == "random") != (self.epochs == 0):
            raise ValueError(
                f"epochs: method random takes 0 epochs and every other at least 1; {self.method.name} has {self.epochs}"
            )
        return self
