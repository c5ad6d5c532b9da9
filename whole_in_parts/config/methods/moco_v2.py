"""Options of the method `moco_v2` (`methods/moco_v2.py`)."""

from typing import Literal

from whole_in_parts.config.method import TargetNetworkConfig
from whole_in_parts.config.section import Count, Positive


class MoCoV2Config(TargetNetworkConfig):
    """`queue` is how many keys of earlier batches serve as negatives; `symmetric` adds the second direction."""

    name: Literal["moco_v2"]
    temperature: Positive
    queue: Count
    symmetric: bool = True
