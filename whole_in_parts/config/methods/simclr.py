"""Options of the method `simclr` (`methods/simclr.py`)."""

from typing import Literal

from whole_in_parts.config.method import JointEmbeddingConfig
from whole_in_parts.config.section import Positive


class SimCLRConfig(JointEmbeddingConfig):
    """`norm` is whether the projector has batch norms."""

    name: Literal["simclr"]
    temperature: Positive
    norm: bool
