"""Options of the origin `model` (`models/origins/model.py`)."""

from pathlib import Path
from typing import Literal

from whole_in_parts.config.origin import OriginConfig
from whole_in_parts.config.section import Sha256


class ModelConfig(OriginConfig):
    """The folder `model` of a run, of this project or as timm reads it, such as one that `dvc import` brought."""

    name: Literal["model"]
    """Selects a folder with `config.json` and `model.safetensors`."""
    path: Path
    """The folder."""
    sha256: Sha256
    """Expected sha256 of `model.safetensors`, 64 hexadecimal digits."""
