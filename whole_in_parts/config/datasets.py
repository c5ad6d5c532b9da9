"""The section `datasets`: where images come from, and what they have to hold."""

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from whole_in_parts.config.section import Count, Section, Sizes
from whole_in_parts.config.source import SourceConfig
from whole_in_parts.config.variants import union_of

if TYPE_CHECKING:
    AnySource = SourceConfig
else:
    AnySource = union_of("sources")


class Expectations(Section):
    """What a dataset must hold for anything to read it."""

    train: Count
    test: Count
    classes: Annotated[int, Field(ge=2)]
    height: Sizes
    width: Sizes
    imbalance: Annotated[float, Field(ge=1)] = 1.0
    """Largest class of a split over its smallest, at most."""
    empty: Annotated[int, Field(ge=0)] = 0
    """Classes that may have no images in a split: those that are nobody's to find, in a set for retrieval, and all
    but one in a set for detection, where labels say nothing."""

    @model_validator(mode="after")
    def some_classes_have_images(self) -> Self:
        if self.empty >= self.classes:
            raise ValueError(f"empty: {self.empty} of {self.classes} classes may have no images; allowed are fewer")
        return self

    duplicates: Annotated[int, Field(ge=0)] = 0
    """Images that may be in both train and test: known flaws of a published set, counted and shown."""


class Dataset(Section):
    """A source of images, how it is packed, and what it has to hold."""

    source: AnySource
    samples_per_shard: Count
    expect: Expectations
