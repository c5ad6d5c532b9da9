"""A run's `backbone`: one class for each file of `whole_in_parts/models/backbones/`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, TypeAdapter, field_validator, model_validator

from whole_in_parts.config.section import Count, Positive, Section, Share

FIXED = ("checkpoint_path", "features_only", "in_chans", "num_classes", "pretrained", "pretrained_cfg")


class Normalised(Section):
    """A backbone that takes images of so many channels, normalised by a mean and deviation of each."""

    convolutional: ClassVar[bool] = True
    """Whether its local representations have a receptive field that the formula gives."""
    name: str
    channels: Literal[1, 3]
    mean: list[Share]
    std: list[Positive]

    @model_validator(mode="after")
    def each_channel_has_its_mean_and_std(self):
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError(f"mean and std take one number for each of the {self.channels} channels")
        return self

    @property
    def words(self) -> str:
        """What the report says of it, beside its name."""
        raise NotImplementedError


class Staged(Normalised):
    """Stages of residual blocks: the width of the first stage, and blocks and stride of each."""

    width: Count
    blocks: Annotated[list[Count], Field(min_length=1)]
    strides: Annotated[list[Count], Field(min_length=1)]

    @model_validator(mode="after")
    def lengths_agree(self):
        if len(self.blocks) != len(self.strides):
            raise ValueError(f"blocks has {len(self.blocks)} stages and strides {len(self.strides)}: give both as many")
        return self


class Stem(Section):
    """The first convolution: 3/1 without a pool for small images, 7/2 with one for large ones."""

    kernel: Count
    stride: Count
    pool: bool


class ResNet(Staged):
    """A ResNet: the width of the first stage, and blocks and stride of each stage."""

    name: Literal["resnet"]
    block: Literal["basic", "bottleneck"]
    stem: Stem

    @property
    def words(self) -> str:
        return f"{'·'.join(map(str, self.blocks))} {self.block}, width {self.width}"


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


class BagNet(Staged):
    """BagNet-33 is width 64, blocks [3, 4, 6, 3], strides [2, 2, 2, 1]; `mlp` adds an RF-ResNet's after the pooling."""

    name: Literal["bagnet"]
    mlp: bool

    @property
    def words(self) -> str:
        return f"{'·'.join(map(str, self.blocks))}, width {self.width}"


class AlexNet(Normalised):
    """The small AlexNet, for images of one size: width 96 and 4096 features for 64 px."""

    name: Literal["alexnet"]
    image_size: Annotated[int, Field(ge=15)]
    width: Count
    features: Count

    @property
    def words(self) -> str:
        return f"width {self.width}, for {self.image_size} px"


class Timm(Normalised):
    """A network of timm by its name there, with arguments of timm.create_model: patch_size, img_size, …"""

    convolutional: ClassVar[bool] = False
    name: Literal["timm"]
    model: str
    arguments: dict[str, bool | int | float | str] = Field(default_factory=dict)

    @field_validator("arguments", mode="before")
    @classmethod
    def are_scalars_that_are_free(cls, arguments):
        for name, value in arguments.items() if isinstance(arguments, dict) else ():
            if name in FIXED:
                raise ValueError(f"{name}: set by the study itself; weights are random, and none are loaded")
            if not isinstance(value, bool | int | float | str):
                raise ValueError(f"{name}: takes a number, a word, true or false; {value!r}")
        return arguments

    @property
    def words(self) -> str:
        return ", ".join([self.model, *[f"{name} {value}" for name, value in self.arguments.items()]])


BackboneOptions = ResNet | RFResNet | BagNet | AlexNet | Timm


def backbone_options(content: dict[str, object]) -> BackboneOptions:
    """The options of a backbone, read back from where they were saved."""
    adapter: TypeAdapter[BackboneOptions] = TypeAdapter(Annotated[BackboneOptions, Field(discriminator="name")])
    return adapter.validate_python(content)
