"""The tables: what stands in their cells on the page, and the same numbers in full as CSV."""

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import NamedTuple

from whole_in_parts.config.study import Study
from whole_in_parts.evaluation.metric_names import suffix
from whole_in_parts.report.claim import Verdict
from whole_in_parts.report.groups import Group, Summary, summarise
from whole_in_parts.report.results import ALWAYS, EVALUATIONS, IF_TRAINED, RunResults, applies, asked, headline

PRETRAIN = ALWAYS + IF_TRAINED
MISSING = "missing"
NBSP = "\N{NO-BREAK SPACE}"


class Column(NamedTuple):
    """A column of the main table: a metric of an evaluation, its label, and the heading above it."""

    kind: str
    metric: str
    heading: str
    label: str


@dataclass(frozen=True)
class Cell:
    """A number of the main table; `best` if no self-supervised group on the dataset shows a higher one."""

    summary: Summary
    best: bool


def columns(study: Study) -> list[Column]:
    """The columns of the main table, in the order of the stages."""
    return [
        *[
            Column("linear", f"top1{suffix(name, percent)}", "Probes", f"linear{of(name)}{by(percent)}")
            for name in study.extract.representations
            for percent in study.linear.labels
        ],
        *[
            Column(
                "knn", f"top1_k{k}{suffix(name, percent)}", "Probes", f"kNN, k{NBSP}={NBSP}{k}{of(name)}{by(percent)}"
            )
            for name in study.extract.representations
            for percent in study.knn.labels
            for k in study.knn.neighbours
        ],
        *[Column("corrupt", name, "Corrupted", name.replace("_", " ")) for name in study.corrupt.corruptions],
        *([Column("corrupt", "mean", "Corrupted", "mean")] if len(study.corrupt.corruptions) > 1 else []),
        Column("mask", "mean", "Masked", "mean of rates"),
        *[Column("attack", name, "Attacked", name.replace("_", " ")) for name in study.attack.settings],
        *[
            Column("transfer", metric, "Transfer", label)
            for metric, label in dict.fromkeys(
                (headline(each), f"{each.dataset}, {each.task.name.replace('_', ' ')}")
                for each in study.transfer.values()
            )
        ],
    ]


def of(representation: str) -> str:
    """What a probe reads, in words, if that is not the global representation."""
    return "" if representation == "whole" else f", {representation.replace('_', NBSP)}"


def by(percent: int) -> str:
    """The labels that a probe is trained by, in words, if these are not all."""
    return "" if percent == 100 else f", {percent}{NBSP}% of labels"


def results(study: Study, groups: list[Group], measured: RunResults) -> dict[str, list[tuple[Group, list[Cell]]]]:
    """The rows of the main table for each dataset: a group and a cell for each column."""
    return {
        dataset: rows([each for each in groups if each.options.dataset == dataset], columns(study), measured)
        for dataset in dict.fromkeys(each.options.dataset for each in groups)
    }


def rows(groups: list[Group], over: list[Column], measured: RunResults) -> list[tuple[Group, list[Cell]]]:
    lines = [(each, [summarise(measured, each, column.kind, column.metric) for column in over]) for each in groups]
    contenders = [line for each, line in lines if each.role == "self-supervised"]
    highest = [max(map(shown, cells)) for cells in zip(*contenders, strict=True)] or [nan] * len(over)
    return [
        (
            each,
            [
                Cell(cell, each.role == "self-supervised" and cell.mean is not None and shown(cell) == top)
                for cell, top in zip(line, highest, strict=True)
            ],
        )
        for each, line in lines
    ]


def shown(summary: Summary) -> float:
    """A mean as the page shows it, so that what looks the same is equal."""
    return float("-inf") if summary.mean is None else round(summary.mean, 1)


def write(study: Study, groups: list[Group], measured: RunResults, verdicts: list[Verdict], folder: Path) -> None:
    """Write every table in full, `missing` standing for what was not measured."""
    save(folder / "claim.csv", CLAIM, (claim_row(verdict) for verdict in verdicts))
    save(folder / "results.csv", RESULTS, result_rows(study, groups, measured))
    save(folder / "runs.csv", RUNS, run_rows(study, groups, measured))
    save(folder / "pretraining.csv", [*DESCRIPTION, *PRETRAIN], (pretrain_row(each, measured) for each in groups))
    save(folder / "analyses.csv", ANALYSES, analysis_rows(study, measured))
    save(folder / "contracts.csv", CONTRACTS, contract_rows(measured))
    save(folder / "losses.csv", LOSSES, loss_rows(measured))


CLAIM = ["group", "random_group", "evaluation", "metric", "mean", "random_mean", "margin", "spread", "exceeds"]
RESULTS = ["group", "evaluation", "metric", "seeds", "measured", "mean", "std", "lowest", "highest"]
RUNS = ["run", "group", "seed", "evaluation", "metric", "value"]
ANALYSES = ["entry", "run", "dataset", "analysis", "metric", "value"]
DESCRIPTION = ["group", "dataset", "method", "modifier", "backbone", "image_size", "seeds"]
LOSSES = ["run", "step", "loss"]
CONTRACTS = ["dataset", "split", "expectation", "held", "observed", "allowed", "broken_by"]


def save(file: Path, header: list[str], lines: Iterable[list[object]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([MISSING if value is None else value for value in line] for line in lines)


def claim_row(verdict: Verdict) -> list[object]:
    against = verdict.baseline.name if verdict.baseline else None
    exceeds = {True: "yes", False: "no", None: "undecided"}[verdict.exceeds]
    means = [verdict.summary.mean, verdict.random.mean]
    return [verdict.group.name, against, verdict.kind, verdict.metric, *means, verdict.margin, verdict.spread, exceeds]


def result_rows(study: Study, groups: list[Group], measured: RunResults) -> Iterable[list[object]]:
    for each in groups:
        for kind in EVALUATIONS:
            for metric in asked(study, each.name, kind):
                summary = summarise(measured, each, kind, metric)
                found = summary.measured
                std = "–" if len(found) == 1 else summary.std
                bounds = [min(found, default=None), max(found, default=None)]
                yield [each.name, kind, metric, len(each.runs), len(found), summary.mean, std, *bounds]


def run_rows(study: Study, groups: list[Group], measured: RunResults) -> Iterable[list[object]]:
    """Every number of every run, also those that nothing asked for."""
    for each in groups:
        for run in each.runs:
            for kind, found in measured.metrics[run].items():
                for metric in dict.fromkeys([*asked(study, run, kind), *found]):
                    yield [run, each.name, study.runs[run].seed, kind, metric, found.get(metric)]


def pretrain_row(each: Group, measured: RunResults) -> list[object]:
    options = each.options
    names = [options.method.name, options.modifier.name, options.backbone.name]
    means = [
        summarise(measured, each, "pretrain", metric).mean if applies(options, metric) else "–" for metric in PRETRAIN
    ]
    return [each.name, options.dataset, *names, options.image_size, len(each.runs), *means]


def analysis_rows(study: Study, measured: RunResults) -> Iterable[list[object]]:
    for key, entry in study.analyse.items():
        found = measured.analyses[key]
        for metric in found or [entry.analysis.headline]:
            yield [key, entry.run, entry.dataset, entry.analysis.name, metric, found.get(metric)]


def loss_rows(measured: RunResults) -> Iterable[list[object]]:
    for run, history in measured.histories.items():
        yield from ([run, step, loss] for step, loss in zip(history["step"], history["loss"], strict=True))


def contract_rows(measured: RunResults) -> Iterable[list[object]]:
    for dataset, contract in measured.contracts.items():
        for line in contract.expectations:
            split, expectation, held, *evidence = line.model_dump().values()
            yield [dataset, split or "–", expectation, "yes" if held else "no", *map(plain, evidence)]


def plain(value: object) -> str:
    """What an expectation saw or allows: a text as it is, all else as JSON."""
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
