"""Options of the method `moco_v2` (`methods/moco_v2.py`)."""

from typing import Literal

from whole_in_parts.config.method import TargetNetworkConfig
from whole_in_parts.config.section import Count, Positive


class MoCoV2Config(TargetNetworkConfig):
    """MoCo v2 contrasts a query with keys of a target network and a queue of earlier keys."""

    name: Literal["moco_v2"]
    """Selects MoCo v2."""
    temperature: Positive
    """Temperature of the softmax over similarities."""
    queue: Count
    """Number of keys of earlier batches that serve as negatives; a multiple of 2 · `batch_size`."""
    symmetric: bool = True
    """Average the loss over both directions of the two views."""
