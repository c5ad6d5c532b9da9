"""Options of the method `patch_dino` (`methods/patch_dino.py`)."""

from typing import Literal

from whole_in_parts.config.method import DistillationConfig
from whole_in_parts.config.section import Fraction
from whole_in_parts.config.views import SmallCrops


class PatchDinoConfig(DistillationConfig):
    """`whole_share` is the paper's λ, of the loss that has one; `centre` is one for each position, or one for all."""

    modifiable = False
    name: Literal["patch_dino"]
    local: SmallCrops
    loss: Literal["mean", "sum", "lambda"] = "mean"
    whole_share: Fraction = 0.2
    centre: Literal["position", "shared"] = "position"

    def crop_sizes(self) -> dict[str, int]:
        return {"local.size": self.local.size}
