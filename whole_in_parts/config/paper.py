"""The papers of `papers/`: their published tables and the claims that are tested on the runs of a study.

Tables are transcribed as printed; `notes` name cells that look wrong, and why. A claim names two groups of runs by
their options, a metric, and the differences that support it.
"""

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import AfterValidator, Field, model_validator

from whole_in_parts.config.section import Name, Section

PAPERS = Path(__file__).parent / "papers"


class PublishedTable(Section):
    """A table of a paper: a value, or null for an empty cell, for each row and column."""

    caption: str
    columns: list[str]
    rows: dict[str, list[float | None]]
    notes: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def rows_have_all_columns(self) -> Self:
        for name, row in self.rows.items():
            if len(row) != len(self.columns):
                raise ValueError(f"rows.{name}: {len(row)} values, but {len(self.columns)} columns")
        return self

    def value(self, row: str, column: str) -> float | None:
        """Return the value of a cell, or None if it is empty.

        Raises:
            ValueError: there is no such row or column.
        """
        if row not in self.rows:
            raise ValueError(f"row: no row is called {row!r}; there are: {'; '.join(self.rows)}")
        if column not in self.columns:
            raise ValueError(f"metrics: no column is called {column!r}; there are: {', '.join(self.columns)}")
        return self.rows[row][self.columns.index(column)]


class Between(Section):
    """An open interval of numbers; a bound that is left out is infinite."""

    above: float = float("-inf")
    below: float = float("inf")

    def contains(self, value: object) -> bool:
        """Return whether a value is a number in the interval; the bounds are outside."""
        return isinstance(value, int | float) and self.above < value < self.below


Condition = Between | list[str | int | float] | bool | int | float | str
Selector = dict[str, Condition]
"""Conditions on options of a run by their dotted keys: a value, one of several, or a range."""


def _compiles(pattern: str) -> str:
    re.compile(pattern)
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]


class Change(Section):
    """Two settings, for a claim about what a change from one to the other costs."""

    before: Selector
    after: Selector


class PublishedDifference(Section):
    """Two cells (row, column) of a table, of which the claim says that the first is the better one."""

    table: str
    better: tuple[str, str]
    than: tuple[str, str]


class PaperClaim(Section):
    """A claim: the runs of `better` differ from those of `than`, which are otherwise alike, as `difference` says."""

    says: str
    """The claim in one sentence."""
    place: str
    """The tables and figures of the paper that make it."""
    better: Selector
    than: Selector
    change: Change | None = None
    """Compare what this change does to `better` with what it does to `than`."""
    differ: list[str] = Field(default_factory=list)
    """Other options in which the two may differ, by the beginning of their dotted keys."""
    metrics: Annotated[list[Pattern], Field(min_length=1)]
    """Regular expressions of `stage.metric`; the mean of all that match is compared."""
    against: list[Pattern] | None = None
    """The metrics of `than`, where they are others."""
    difference: Between
    """The differences that support the claim."""
    published: list[PublishedDifference] = Field(default_factory=list)
    """Where the paper gives the figures."""


class Paper(Section):
    """A paper: its tables by their numbers, and its claims by short names."""

    title: str
    tables: dict[str, PublishedTable]
    claims: dict[Name, PaperClaim]

    def published_differences(self, claim: PaperClaim) -> list[float]:
        """Compute the differences that the paper has printed for a claim."""
        differences = []
        for cells in claim.published:
            table = self.tables[cells.table]
            better, than = table.value(*cells.better), table.value(*cells.than)
            if better is not None and than is not None:
                differences.append(better - than)
        return differences


@cache
def load_papers() -> dict[str, Paper]:
    """Read all papers by the names of their files."""
    return {
        file.stem: Paper.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
        for file in sorted(PAPERS.glob("*.yaml"))
    }


class PublishedRow(Section):
    """Cells in a row of a paper's table that a run is to be compared with."""

    paper: Name
    """The paper: a file of `whole_in_parts/config/papers/`."""
    table: str
    """The number of the table, in quotes."""
    row: str
    """The label of the row."""
    run: Name
    """The run that measures it: a key of `runs`. All seeds of its group are compared."""
    metrics: Annotated[dict[str, Annotated[str, Field(pattern=r"^(\w+\.\w+|analyse\.\w+\.\w+)$")]], Field(min_length=1)]
    """For each column, the metric as `stage.metric` (`linear.top1`); that of an analysis as `analyse.entry.metric`."""

    @model_validator(mode="after")
    def cells_are_published(self) -> Self:
        papers = load_papers()
        if self.paper not in papers:
            raise ValueError(f"paper: no paper is called {self.paper}; there are: {', '.join(papers)}")
        tables = papers[self.paper].tables
        if self.table not in tables:
            raise ValueError(f"table: {self.paper} has no table {self.table}; there are: {', '.join(tables)}")
        for column in self.metrics:
            tables[self.table].value(self.row, column)
        return self
