"""The content of `contract.json`, which the stage `contract` writes for each dataset."""

from pydantic import BaseModel, Field


class Split(BaseModel):
    """The size of a split."""

    samples: int | None = None
    shards: int | None = None
    bytes: int | None = None


class Expectation(BaseModel):
    """One expectation of a dataset: the observed and the allowed value, and the rows that break it."""

    split: str | None = None
    expectation: str
    held: bool
    observed: object = None
    allowed: object = None
    broken_by: object = None


class Contract(BaseModel):
    """A `contract.json`."""

    held: bool
    classes: list[str] = []
    splits: dict[str, Split] = {}
    expectations: list[Expectation] = Field(default=[])
