"""Options of the backbone `timm` (`models/backbones/timm.py`)."""

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from whole_in_parts.config.backbone import BackboneConfig

FIXED = ("checkpoint_path", "features_only", "in_chans", "num_classes", "pretrained", "pretrained_cfg")
"""Arguments of timm.create_model that the study sets itself."""


class TimmConfig(BackboneConfig):
    """A network of timm by its name there, with arguments of timm.create_model: patch_size, img_size, …"""

    convolutional: ClassVar[bool] = False
    name: Literal["timm"]
    model: str
    arguments: dict[str, bool | int | float | str] = Field(default_factory=dict)

    @field_validator("arguments", mode="before")
    @classmethod
    def are_scalars_that_are_free(cls, arguments: object) -> object:
        for name, value in arguments.items() if isinstance(arguments, dict) else ():
            if name in FIXED:
                raise ValueError(f"{name}: set by the study itself; weights are random, and none are loaded")
            if not isinstance(value, bool | int | float | str):
                raise ValueError(f"{name}: takes a number, a word, true or false; {value!r}")
        return arguments

    @property
    def summary(self) -> str:
        return ", ".join([self.model, *[f"{name} {value}" for name, value in self.arguments.items()]])
