"""Options of the origin `torchvision` (`models/origins/torchvision.py`)."""

from typing import Annotated, Literal

from pydantic import Field

from whole_in_parts.config.origin import OriginConfig


class TorchvisionConfig(OriginConfig):
    """Weights that torchvision publishes."""

    name: Literal["torchvision"]
    """Selects weights of torchvision."""
    weights: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+_Weights\.[A-Z0-9_]+$")]
    """The member of torchvision's enumeration, such as ResNet50_Weights.IMAGENET1K_V2. Its file in `weights/` is taken,
    or else downloaded there; the end of the file's name is the beginning of its sha256."""
