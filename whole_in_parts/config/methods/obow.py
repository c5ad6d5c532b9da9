"""Options of the method `obow` (`methods/obow.py`)."""

from typing import Annotated, Literal

from pydantic import Field

from whole_in_parts.config.backbone import BackboneConfig, StagedBackboneConfig
from whole_in_parts.config.method import MethodConfig
from whole_in_parts.config.section import Count, Fractions, Positive
from whole_in_parts.config.views import SmallCrops

LEVELS = 2
"""The last maps of the backbone, of which each has its own visual words, as in the authors' full version."""


class OBoWConfig(MethodConfig):
    """OBoW predicts, from crops, the bag of visual words of the whole image, which the first of `views` is to show."""

    modifiable = False
    queued_views = 1
    name: Literal["obow"]
    """Selects OBoW."""
    crops: Annotated[list[SmallCrops], Field(min_length=1)]
    """The kinds of crops, which the student learns from and the teacher does not see."""
    momentum: Fractions
    """EMA momentum of the teacher at the first and at the last step, each 0 to 1 and not falling."""
    queue: Count
    """Number of visual words K, one of each of the last images; a multiple of `batch_size`."""
    inverse_delta: Positive = 15.0
    """1/δ, how sharply the teacher assigns words; distances are in units of the mean distance to the nearest word."""
    kappa: Positive = 8.0
    """κ, the factor of the student's logits."""

    def crop_sizes(self) -> dict[str, int]:
        return {f"crops.{index}.size": crops.size for index, crops in enumerate(self.crops)}

    def incompatibility(self, backbone: BackboneConfig) -> str | None:
        if isinstance(backbone, StagedBackboneConfig) and len(backbone.blocks) < LEVELS:
            return f"backbone.blocks: obow takes words from the last {LEVELS} maps, and there is one map for each stage"
        return None
