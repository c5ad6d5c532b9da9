"""Options of the backbone `alexnet` (`models/backbones/alexnet.py`)."""

from typing import Annotated, Literal

from pydantic import Field

from whole_in_parts.config.backbone import BackboneConfig
from whole_in_parts.config.section import Count


class AlexNetConfig(BackboneConfig):
    """The small AlexNet, for images of one size: width 96 and 4096 features for 64 px."""

    name: Literal["alexnet"]
    image_size: Annotated[int, Field(ge=15)]
    width: Count
    features: Count

    @property
    def summary(self) -> str:
        return f"width {self.width}, for {self.image_size} px"
