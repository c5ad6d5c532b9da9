"""Options of the method `simclr` (`methods/simclr.py`)."""

from typing import Literal

from whole_in_parts.config.method import JointEmbeddingConfig
from whole_in_parts.config.section import Positive


class SimCLRConfig(JointEmbeddingConfig):
    """SimCLR contrasts two views of an image with the views of all other images of the batch."""

    name: Literal["simclr"]
    """Selects SimCLR."""
    temperature: Positive
    """Temperature of the softmax over similarities."""
    norm: bool
    """Use batch norm in the projector."""
