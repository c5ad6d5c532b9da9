"""A run's `modifier`: one class for each file of `whole_in_parts/modifiers/`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from whole_in_parts.config.section import Bounds, Count, NotNegative, Positive, Section, SomeShare
from whole_in_parts.config.views import SmallCrops, View

WholeNumber = Annotated[int, Field(ge=0)]


class NoModifier(Section):
    """The base alone."""

    name: Literal["none"]


class CO(Section):
    """`weight` is w_s; `map_size` is n, of the n² local representations, and 0 takes the map as it is; `layer` counts
    the backbone's maps from 1, and 0 is the last.
    """

    name: Literal["co"]
    weight: NotNegative
    map_size: WholeNumber = 0
    resize: Literal["nearest", "mean"] = "nearest"
    layer: WholeNumber = 0
    shared_heads: bool = False


class MultiCrop(Section):
    """`average` divides the sum over the pairs of crops by the number of views less one: true for DINO and SwAV."""

    name: Literal["multi_crop"]
    crops: Annotated[list[SmallCrops], Field(min_length=1)]
    average: bool


class LoGo(Section):
    """How the two local crops are made. In mode `ratio`, `ratio` is the paper's λ, of the lengths of the gradients; in
    mode `public` it is a bound on it, and `learning_rate` is the affinity's.
    """

    name: Literal["logo"]
    size: Count
    view: View
    mode: Literal["ratio", "public"] = "ratio"
    ratio: NotNegative = 5e-4
    local_to_local: bool = True
    learning_rate: Positive = 0.03

    @model_validator(mode="after")
    def public_code_has_local_to_local(self):
        if self.mode == "public" and not self.local_to_local:
            raise ValueError("local_to_local: mode public draws local crops apart; without that, take mode ratio")
        return self


class Patches(Section):
    """Every view is a crop of this share of the image's area; `ratio` bounds its width to height."""

    name: Literal["patches"]
    scale: SomeShare
    ratio: Bounds = (3 / 4, 4 / 3)


ModifierOptions = Annotated[NoModifier | CO | MultiCrop | LoGo | Patches, Field(discriminator="name")]
