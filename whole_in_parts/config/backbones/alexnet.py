"""Options of the backbone `alexnet` (`models/backbones/alexnet.py`)."""

from typing import Annotated, Literal

from pydantic import Field

from whole_in_parts.config.backbone import BackboneConfig
from whole_in_parts.config.section import LARGEST, Count


class AlexNetConfig(BackboneConfig):
    """The small AlexNet, for images of a fixed size; STL-10 at 64 px uses width 96 and 4096 features."""

    name: Literal["alexnet"]
    """Selects AlexNet."""
    image_size: Annotated[int, Field(ge=15, le=LARGEST)]
    """Side of the images in pixels, at least 15; equal to the run's `image_size`."""
    width: Count
    """Width (number of channels) of the first convolution."""
    features: Count
    """Width of the two linear layers, and of the global representation."""

    @property
    def summary(self) -> str:
        return f"width {self.width}, for {self.image_size} px"
