"""Options of the backbone `timm` (`models/backbones/timm.py`)."""

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from whole_in_parts.config.backbone import BackboneConfig

FIXED = ("checkpoint_path", "features_only", "in_chans", "num_classes", "pretrained", "pretrained_cfg")
"""Arguments of timm.create_model that the study sets."""


class TimmConfig(BackboneConfig):
    """A network of the timm library, with random weights."""

    convolutional: ClassVar[bool] = False
    name: Literal["timm"]
    """Selects a timm backbone."""
    model: str
    """The model's name in timm, such as vit_tiny_patch16_224."""
    arguments: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Arguments of timm.create_model, such as patch_size and img_size; scalars alone, and none that the study sets."""
    positions: Literal["timm", "dino"] = "timm"
    """Interpolation of a ViT's position embedding for images of another size: timm's, with antialiasing, or DINO's."""

    @field_validator("arguments", mode="before")
    @classmethod
    def are_allowed_scalars(cls, arguments: object) -> object:
        for name, value in arguments.items() if isinstance(arguments, dict) else ():
            if name in FIXED:
                raise ValueError(f"{name}: set by the study; weights are random, and none are loaded")
            if not isinstance(value, bool | int | float | str):
                raise ValueError(f"{name}: takes a number, a string, true or false; {value!r}")
        return arguments

    @property
    def architecture(self) -> str:
        return self.model

    @property
    def summary(self) -> str:
        return ", ".join([self.model, *[f"{name} {value}" for name, value in self.arguments.items()]])
