"""Options of the origin `timm` (`models/origins/timm.py`)."""

from typing import Annotated, Literal

from pydantic import Field

from whole_in_parts.config.origin import OriginConfig
from whole_in_parts.config.section import Sha256


class TimmConfig(OriginConfig):
    """Weights that timm publishes on the Hugging Face Hub."""

    name: Literal["timm"]
    """Selects weights of timm."""
    model: Annotated[str, Field(pattern=r"^[a-z0-9_]+\.[a-z0-9_]+$")]
    """The model and the tag of its weights, such as resnet50.a1_in1k or vit_small_patch16_224.dino. The file
    `weights/<model>.safetensors` is taken if there is one; without it, timm downloads the weights."""
    sha256: Sha256 | None = None
    """Expected sha256 of the file, 64 hexadecimal digits; not checked if left out."""
