"""Measured beside published: the cells of the papers' tables that the study names in `published`."""

from dataclasses import dataclass

from whole_in_parts.config.paper import PublishedRow, PublishedTable, load_papers
from whole_in_parts.config.study import Study
from whole_in_parts.report.groups import Group, Summary, summarise
from whole_in_parts.report.results import RunResults


@dataclass(frozen=True)
class PublishedCell:
    """A published value with what the study has measured."""

    row: str
    column: str
    published: float | None
    group: Group
    run: str
    metric: str
    summary: Summary

    @property
    def difference(self) -> float | None:
        """The measured mean less the published value; None if either is missing."""
        if self.published is None or self.summary.mean is None:
            return None
        return self.summary.mean - self.published


@dataclass(frozen=True)
class ComparedTable:
    """A table of a paper and the cells of it that the study measures."""

    paper: str
    title: str
    number: str
    table: PublishedTable
    cells: list[PublishedCell]


def compare(study: Study, groups: list[Group], measured: RunResults) -> list[ComparedTable]:
    """Return the tables that the study names, in the order of its entries."""
    papers = load_papers()
    tables: dict[tuple[str, str], ComparedTable] = {}
    for row in study.published:
        paper = papers[row.paper]
        table = ComparedTable(row.paper, paper.title, row.table, paper.tables[row.table], [])
        tables.setdefault((row.paper, row.table), table).cells.extend(cells(row, table.table, groups, measured))
    return list(tables.values())


def cells(row: PublishedRow, table: PublishedTable, groups: list[Group], measured: RunResults) -> list[PublishedCell]:
    """Compare the cells of one row with its run and the other seeds of the run's group."""
    own = next(group for group in groups if row.run in group.runs)
    return [
        PublishedCell(
            row.row, column, table.value(row.row, column), own, row.run, metric, summary(own, metric, measured)
        )
        for column, metric in row.metrics.items()
    ]


def summary(group: Group, metric: str, measured: RunResults) -> Summary:
    """Collect a metric over the seeds of a group; that of an analysis is of its entry alone."""
    kind, *names = metric.split(".")
    if kind == "analyse":
        entry, name = names
        return Summary([measured.analyses.get(entry, {}).get(name)])
    return summarise(measured, group, kind, names[0])
