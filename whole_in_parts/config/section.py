"""The number types and the base class that all sections of a study are made of."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Items = TypeVar("Items", bound=Sequence[Any])


def _ordered(bounds: tuple[float, float]) -> tuple[float, float]:
    low, high = bounds
    if low > high:
        raise ValueError(f"the first bound, {low}, is above the second, {high}")
    return bounds


def unique(items: Items) -> Items:
    """Refuse a list that names something twice."""
    if repeated := sorted({str(item) for item in items if items.count(item) > 1}):
        raise ValueError(f"named more than once: {', '.join(repeated)}")
    return items


LARGEST = 1_000_000_000
"""No number of a study is larger but a seed: a billion, of images, steps or anything else."""

Count = Annotated[int, Field(gt=0, le=LARGEST)]
SeveralOf = Annotated[int, Field(ge=2, le=LARGEST)]
WholeNumber = Annotated[int, Field(ge=0, le=LARGEST)]
Seed = Annotated[int, Field(ge=0, lt=1 << 63)]
Positive = Annotated[float, Field(gt=0, le=LARGEST)]
NotNegative = Annotated[float, Field(ge=0, le=LARGEST)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Fractions = Annotated[tuple[Fraction, Fraction], AfterValidator(_ordered)]
PositiveFraction = Annotated[float, Field(gt=0, le=1)]
PositiveFractions = Annotated[tuple[PositiveFraction, PositiveFraction], AfterValidator(_ordered)]
Bounds = Annotated[tuple[Positive, Positive], AfterValidator(_ordered)]
Sizes = Annotated[tuple[Count, Count], AfterValidator(_ordered)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$", max_length=200)]
"""The name of a folder of results; file systems allow 255 bytes, and what is unfinished has a longer name."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Section(BaseModel):
    """A part of the study: unknown keys are refused, and instances are immutable.

    The docstring below a field is its description in the JSON Schema, which editors show.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def keys_are_known(cls, content: object) -> object:
        if isinstance(content, dict) and (unknown := [str(key) for key in content if key not in cls.model_fields]):
            raise ValueError(f"no such key: {', '.join(unknown)}; allowed: {', '.join(cls.model_fields)}")
        return content
