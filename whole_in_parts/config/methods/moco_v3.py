"""Options of the method `moco_v3` (`methods/moco_v3.py`)."""

from typing import Literal

from whole_in_parts.config.method import TargetNetworkConfig
from whole_in_parts.config.section import Count, Positive


class MoCoV3Config(TargetNetworkConfig):
    """MoCo v3 contrasts predictions with the embeddings of a target network."""

    name: Literal["moco_v3"]
    """Selects MoCo v3."""
    predictor: Count
    """Width of the hidden layer of the predictor."""
    temperature: Positive
    """Temperature of the softmax over similarities."""
