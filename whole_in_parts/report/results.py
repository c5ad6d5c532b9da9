"""The results of the other stages: every metric that the study asks for, and flags for missing or non-finite ones."""

import json
import math
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from pydantic import ValidationError

from whole_in_parts.config.study import Study
from whole_in_parts.failure import Failure
from whole_in_parts.report.asked import (
    EVALUATIONS,
    ONLINE_METRICS,
    OWNERS,
    PATCH_METRICS,
    asked_of_analysis,
    expected_metrics,
    prefix,
)
from whole_in_parts.report.contract_record import Contract
from whole_in_parts.results import result_dir

CURVES = {"step", "epoch", "loss"}

Metrics = dict[str, float]


class Flag(NamedTuple):
    """A warning at the top of the report: the run or dataset, the stage and the problem."""

    key: str
    kind: str
    problem: str


@dataclass
class RunResults:
    """All results; `metrics[run][kind]` and `analyses[entry]` hold finite numbers only, other metrics are absent.

    `expected[run][kind]` are the names of the metrics that the study asks for.
    """

    metrics: dict[str, dict[str, Metrics]] = field(default_factory=dict)
    expected: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    histories: dict[str, pd.DataFrame] = field(default_factory=dict)
    analyses: dict[str, Metrics] = field(default_factory=dict)
    contracts: dict[str, Contract] = field(default_factory=dict)
    flags: list[Flag] = field(default_factory=list)

    def value(self, run: str, kind: str, metric: str) -> float | None:
        """Return a metric of a run, or None if it is missing."""
        return self.metrics[run][kind].get(metric)

    def asks(self, run: str, kind: str, metric: str) -> bool:
        """Return whether the study asks for a metric of a run, or a stage measured it unasked."""
        return metric in self.expected[run][kind] or metric in self.metrics[run][kind]

    def collapsed(self, run: str) -> bool:
        """Return whether the embeddings had collapsed at the end of the training."""
        return bool(self.value(run, "pretrain", "collapsed"))


def read(study: Study) -> RunResults:
    """Read all results of a study.

    Raises:
        Failure: a result belongs to no entry of the study.
    """
    refuse_leftovers(study)
    measured = RunResults()
    for run in study.runs:
        measured.expected[run] = {kind: expected_metrics(study, run, kind) for kind in ("pretrain", *EVALUATIONS)}
        measured.metrics[run] = {kind: metrics(study, run, kind, measured.flags) for kind in ("pretrain", *EVALUATIONS)}
        measured.histories[run] = history(run, measured.flags)
        if measured.collapsed(run):
            measured.flags.append(Flag(run, "pretrain", collapse(measured.metrics[run]["pretrain"])))

    for key, entry in study.analyse.items():
        measured.analyses[key] = numbers("analyse", key, entry.run, asked_of_analysis(study, key), measured.flags)
    for dataset in study.datasets:
        if (checked := contract(dataset, measured.flags)) is not None:
            measured.contracts[dataset] = checked
    return measured


def refuse_leftovers(study: Study) -> None:
    """Check that every result belongs to an entry of the study.

    The report depends on the folders of whole kinds: a leftover would make its inputs differ from a fresh clone's.

    Raises:
        Failure: a result belongs to no entry.
    """
    leftovers = [
        str(entry)
        for kind, section in OWNERS.items()
        for entry in visible(result_dir(kind))
        if entry.name not in getattr(study, section)
    ]
    if leftovers:
        raise Failure(
            f"no entry of params.yaml has these results: {', '.join(leftovers)}; "
            f"remove them with: rm -r {shlex.join(leftovers)}"
        )


def visible(folder: Path) -> Iterable[Path]:
    """Return the entries of a folder that are not hidden, sorted."""
    return sorted(entry for entry in folder.glob("*") if not entry.name.startswith("."))


def metrics(study: Study, run: str, kind: str, flags: list[Flag]) -> Metrics:
    """Read the metrics of a stage for a run; those of transfer entries are prefixed with dataset and task."""
    if kind != "transfer":
        return numbers(kind, run, run, expected_metrics(study, run, kind), flags)
    return {
        f"{prefix(transfer)}_{name}": value
        for key, transfer in study.transfer.items()
        if transfer.run == run
        for name, value in numbers("transfer", key, run, [transfer.task.headline], flags).items()
    }


def numbers(kind: str, key: str, run: str, expected: list[str], flags: list[Flag]) -> Metrics:
    """Read the finite numbers of a `metrics.json`; missing or non-finite metrics are flagged."""
    content = load(result_dir(kind, key) / "metrics.json", run, kind, flags)
    if content is None:
        return {}

    missing = [name for name in expected if not isinstance(content.get(name), int | float)]
    non_finite = [
        f"{name} ({value})" for name, value in content.items() if isinstance(value, float) and not math.isfinite(value)
    ]
    if missing:
        flags.append(Flag(run, kind, f"missing: {', '.join(missing)}"))
    if non_finite:
        flags.append(Flag(run, kind, f"not a finite number: {', '.join(non_finite)}"))
    return {name: value for name, value in content.items() if isinstance(value, int | float) and math.isfinite(value)}


def load(file: Path, key: str, kind: str, flags: list[Flag]) -> dict[str, Any] | None:
    """Read the object in a JSON file; if it cannot be read, add a flag and return None."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        flags.append(Flag(key, kind, f"missing: there is no {file}"))
        return None
    except ValueError as error:
        flags.append(Flag(key, kind, f"missing: {file} is not JSON: {error}"))
        return None

    if isinstance(content, dict):
        return content
    flags.append(Flag(key, kind, f"missing: {file} holds no JSON object"))
    return None


def history(run: str, flags: list[Flag]) -> pd.DataFrame:
    """Read the curves of a training; a method that does not train has no rows, and missing columns are flagged."""
    file = result_dir("pretrain", run) / "history.csv"
    try:
        rows = pd.read_csv(file).apply(pd.to_numeric, errors="coerce")
        if not CURVES.issubset(rows):
            raise ValueError(f"it has not all of the columns {', '.join(sorted(CURVES))}")
    except (OSError, ValueError) as error:
        flags.append(Flag(run, "pretrain", f"missing: the curves in {file}: {error}"))
        return pd.DataFrame({name: [] for name in sorted(CURVES)})

    is_bad = ~rows.drop(columns=ONLINE_METRICS + PATCH_METRICS, errors="ignore").map(math.isfinite).all(axis=1)
    if is_bad.any():
        flags.append(
            Flag(run, "pretrain", f"the curves are not finite from step {rows.loc[is_bad, 'step'].iloc[0]:.0f}")
        )
    return rows


def collapse(pretrained: Metrics) -> str:
    """Describe a collapse for the flag."""
    spread = pretrained.get("spread", math.nan)
    return f"collapsed: images that differ have embeddings that hardly do (their spread is {spread:.3f}, and 1 at best)"


def contract(dataset: str, flags: list[Flag]) -> Contract | None:
    """Read the contract of a dataset; if it is missing or broken, add a flag."""
    file = result_dir("contract", dataset) / "contract.json"
    content = load(file, dataset, "contract", flags)
    if content is None:
        return None
    try:
        checked = Contract.model_validate(content)
    except ValidationError as error:
        flags.append(Flag(dataset, "contract", f"missing: {file} is not a contract: {error.errors()[0]['msg']}"))
        return None
    if not checked.held:
        flags.append(Flag(dataset, "contract", "the images do not hold what is expected of them"))
    return checked
