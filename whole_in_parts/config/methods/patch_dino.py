"""Options of the method `patch_dino` (`methods/patch_dino.py`)."""

from typing import Literal

from whole_in_parts.config.method import DistillationConfig
from whole_in_parts.config.section import Count, Fraction
from whole_in_parts.config.views import SmallCrops


class PatchDinoConfig(DistillationConfig):
    """Patch-wise DINO matches overlapping patches of crops, beside their global representations."""

    modifiable = False
    name: Literal["patch_dino"]
    """Selects patch-wise DINO."""
    local: SmallCrops
    """The small crops, which the student alone sees."""
    loss: Literal["mean", "sum", "lambda"] = "mean"
    """How the terms are combined: their `mean`, their `sum`, or a `lambda`-weighted mean of global and local terms."""
    global_weight: Fraction = 0.2
    """The paper's λ, 0 to 1; used with `loss: lambda` alone."""
    centre: Literal["position", "shared"] = "position"
    """Centre the scores by `position`, or with a `shared` centre for all positions."""

    squash: Count | None = 256
    """Side of the square that images are resized to before they are cropped, whatever their aspect ratio; `null` crops
    them as they are, or the centre squares of images of many sizes."""

    def squashed_side(self) -> int | None:
        return self.squash

    def crop_sizes(self) -> dict[str, int]:
        return {"local.size": self.local.size}
