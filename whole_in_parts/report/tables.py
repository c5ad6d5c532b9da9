"""The tables: the cells of the page, and the same numbers as files."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from math import nan
from pathlib import Path

from whole_in_parts.config.study import Study
from whole_in_parts.report.asked import (
    ALWAYS,
    EVALUATIONS,
    IF_TRAINED,
    applies,
    asked_of_analysis,
)
from whole_in_parts.report.claims import TestedClaim
from whole_in_parts.report.columns import Column, columns
from whole_in_parts.report.findings import Findings
from whole_in_parts.report.formats import BLANK, write_all, write_csv
from whole_in_parts.report.groups import Group, Summary, summarise
from whole_in_parts.report.published import ComparedTable, PublishedCell
from whole_in_parts.report.results import RunResults

PRETRAIN = ALWAYS + IF_TRAINED


@dataclass(frozen=True)
class Cell:
    """A number of the main table; `best` if no self-supervised group on the dataset shows a higher one."""

    summary: Summary
    best: bool


def results(study: Study, groups: list[Group], measured: RunResults) -> dict[str, list[tuple[Group, list[Cell]]]]:
    """Return the rows of the main table for each dataset: a group and a cell for each column."""
    return {
        dataset: rows([group for group in groups if group.options.dataset == dataset], columns(study), measured)
        for dataset in dict.fromkeys(group.options.dataset for group in groups)
    }


def rows(groups: list[Group], columns_: list[Column], measured: RunResults) -> list[tuple[Group, list[Cell]]]:
    """Return the rows of one dataset; the best self-supervised mean of each column is marked."""
    lines = [
        (group, [summarise(measured, group, column.kind, column.metric) for column in columns_]) for group in groups
    ]

    contenders = [line for group, line in lines if group.role == "self-supervised"]
    highest = [max(map(shown, cells)) for cells in zip(*contenders, strict=True)] or [nan] * len(columns_)

    return [
        (
            group,
            [
                Cell(cell, group.role == "self-supervised" and cell.mean is not None and shown(cell) == top)
                for cell, top in zip(line, highest, strict=True)
            ],
        )
        for group, line in lines
    ]


def shown(summary: Summary) -> float:
    """Round a mean as the page shows it, so that values that look equal are equal."""
    return float("-inf") if summary.mean is None else round(summary.mean, 1)


def write(findings: Findings, folder: Path) -> None:
    """Write every table; those of single runs and losses as CSV alone."""
    study, groups, measured, pretraining, claims, published = findings
    write_all(folder / "claims", CLAIMS, claims_rows(pretraining + claims))
    write_all(folder / "published", PUBLISHED, published_rows(published))
    write_all(folder / "results", RESULTS, result_rows(groups, measured))
    write_csv(folder / "runs.csv", RUNS, run_rows(study, groups, measured))
    write_all(folder / "pretraining", [*DESCRIPTION, *PRETRAIN], (pretrain_row(group, measured) for group in groups))
    write_all(folder / "analyses", ANALYSES, analysis_rows(study, measured))
    write_csv(folder / "contracts.csv", CONTRACTS, contract_rows(measured))
    write_csv(folder / "losses.csv", LOSSES, loss_rows(measured))


CLAIMS = ["paper", "claim", "groups", "scale", "seeds", "difference", "low", "high", "verdict", "reason"]
PUBLISHED = ["paper", "table", "row", "column", "run", "metric", "seeds", "mean", "std", "published", "difference"]
RESULTS = ["group", "evaluation", "metric", "seeds", "measured", "mean", "std", "lowest", "highest"]
RUNS = ["run", "group", "seed", "evaluation", "metric", "value"]
ANALYSES = ["entry", "run", "dataset", "analysis", "metric", "value"]
DESCRIPTION = ["group", "dataset", "method", "modifier", "backbone", "image_size", "seeds"]
LOSSES = ["run", "step", "loss"]
CONTRACTS = ["dataset", "split", "expectation", "held", "observed", "allowed", "broken_by"]


def claims_rows(claims: list[TestedClaim]) -> Iterable[list[object]]:
    """Yield every comparison; groups have the sign with which they enter the difference."""
    for tested in claims:
        for each in tested.comparisons:
            groups = " ".join(f"{'+' if term.sign > 0 else '-'}{term.group.name}" for term in each.terms)
            bounds = each.interval or ["–", "–"]
            mean = BLANK if each.mean is None and not each.missing else each.mean
            numbers = [len(each.differences), mean, *bounds]
            yield [tested.paper, tested.name, groups, each.scale, *numbers, each.verdict, each.reason or "–"]


def published_rows(published: list[ComparedTable]) -> Iterable[list[object]]:
    for table in published:
        for cell in table.cells:
            place = [table.paper, table.number, cell.row, cell.column, cell.run, cell.metric]
            published_value = "–" if cell.published is None else cell.published
            yield [*place, *measured_cells(cell.summary), published_value, difference(cell)]


def measured_cells(summary: Summary) -> list[object]:
    """Return how many seeds were measured, their mean and deviation; blank if the study does not ask for the metric."""
    seeds = len(summary.measured)
    if not summary.values:
        return [seeds, BLANK, BLANK]
    return [seeds, summary.mean, "–" if seeds == 1 else summary.std]


def difference(cell: PublishedCell) -> object:
    """Return measured less published; blank if the study does not ask for the metric or nothing is published."""
    return cell.difference if cell.summary.values and cell.published is not None else BLANK


def result_rows(groups: list[Group], measured: RunResults) -> Iterable[list[object]]:
    for group in groups:
        for kind in EVALUATIONS:
            for metric in dict.fromkeys(name for run in group.runs for name in measured.expected[run][kind]):
                summary = summarise(measured, group, kind, metric)
                values = summary.measured
                std = "–" if len(values) == 1 else summary.std
                bounds = [min(values, default=None), max(values, default=None)]
                yield [group.name, kind, metric, len(summary.values), len(values), summary.mean, std, *bounds]


def run_rows(study: Study, groups: list[Group], measured: RunResults) -> Iterable[list[object]]:
    """Yield every number of every run, also metrics that the report does not require."""
    for group in groups:
        for run in group.runs:
            for kind, metrics in measured.metrics[run].items():
                for metric in dict.fromkeys([*measured.expected[run][kind], *metrics]):
                    yield [run, group.name, study.runs[run].seed, kind, metric, metrics.get(metric)]


def pretrain_row(group: Group, measured: RunResults) -> list[object]:
    options = group.options
    names = [options.method.name, options.modifier.name, options.backbone.name]
    means = [
        summarise(measured, group, "pretrain", metric).mean if applies(options, metric) else "–" for metric in PRETRAIN
    ]
    return [group.name, options.dataset, *names, options.image_size, len(group.runs), *means]


def analysis_rows(study: Study, measured: RunResults) -> Iterable[list[object]]:
    for key, entry in study.analyse.items():
        metrics = measured.analyses[key]
        for metric in dict.fromkeys([*metrics, *asked_of_analysis(study, key)]):
            yield [key, entry.run, entry.dataset, entry.analysis.name, metric, metrics.get(metric)]


def loss_rows(measured: RunResults) -> Iterable[list[object]]:
    for run, history in measured.histories.items():
        yield from ([run, step, loss] for step, loss in zip(history["step"], history["loss"], strict=True))


def contract_rows(measured: RunResults) -> Iterable[list[object]]:
    for dataset, contract in measured.contracts.items():
        for line in contract.expectations:
            split, expectation, held, *evidence = line.model_dump().values()
            yield [dataset, split or "–", expectation, "yes" if held else "no", *map(plain, evidence)]


def plain(value: object) -> str:
    """Format an observed or allowed value for CSV: text as it is, other values as JSON."""
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
