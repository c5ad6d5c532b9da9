"""The README of a folder of evidence: conditions, claims with their verdicts, and what was measured, as Markdown."""

import csv
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from whole_in_parts.config.paper import load_papers
from whole_in_parts.config.study import PARAMS
from whole_in_parts.report.claims import PRETRAINING, pretraining
from whole_in_parts.results import RESULTS

NONE = "–"
"""What the tables of the report have for what is not there, such as the standard deviation of one seed."""
OF_ONE_SETTING = re.compile(r"corrupt \w+_\d|mask mask_\d+")
"""Metrics of one severity or one rate, which the table of results leaves out for their means."""

Rows = list[dict[str, str]]


def readme(folder: Path) -> str:
    """Write the README from the conditions and the tables of the report."""
    tables = folder / RESULTS / "report/tables"
    sections = [
        f"# {folder.name}",
        f"Written by `python -m workflow.evidence {folder.name}`: do not edit. The settings are in `{PARAMS}`;\n"
        f"`{RESULTS}/report/index.html` is the page with figures.",
        "## Conditions",
        conditions(folder / "conditions.json"),
        "## Claims",
        "Differences are paired by seed, with their 95 % interval; those of accuracies are in points.",
        claims(read(tables / "claims.csv")),
        "## Results",
        "Means over seeds and standard deviations, in per cent.",
        results(read(tables / "results.csv")),
    ]
    return "\n\n".join(sections) + "\n"


def read(file: Path) -> Rows:
    """Read a CSV file."""
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def conditions(file: Path) -> str:
    """Write when and on what each part was measured."""
    parts = json.loads(file.read_text(encoding="utf-8"))
    header = ["date", "runs", "hours of training", "hardware", "torch", "commit"]
    rows = (
        [part["date"], part["runs"], part["training_hours"], part["hardware"], part["torch"], part["commit"][:10]]
        for part in parts
    )
    return markdown(header, rows)


def claims(compared: Rows) -> str:
    """Write each comparison of each claim, with the sentence of the claim."""
    header = ["claim", "place", "comparison", "seeds", "difference", "verdict"]
    rows = []
    for row in compared:
        says, place = sentence(row["paper"], row["claim"])
        bounds = f" [{rounded(row['low'])}, {rounded(row['high'])}]" if row["low"] != NONE else ""
        verdict = f"**{row['verdict']}**" + ("" if row["reason"] == NONE else f": {row['reason']}")
        difference = f"{rounded(row['difference'])}{bounds}"
        rows.append([says, place, row["groups"], row["seeds"], difference, verdict])
    return markdown(header, rows)


def sentence(paper: str, name: str) -> tuple[str, str]:
    """Return what a claim says, and where; the claims on pretraining are this project's own."""
    if paper == PRETRAINING:
        return pretraining(name).says, f"by {name}"
    claim = load_papers()[paper].claims[name]
    return claim.says, f"{paper}, {claim.place}"


def results(measured: Rows) -> str:
    """Write the mean metrics of each group as one row."""
    cells: dict[str, dict[str, str]] = {}
    for row in measured:
        column = f"{row['evaluation']} {row['metric']}"
        if not OF_ONE_SETTING.fullmatch(column):
            group = cells.setdefault(row["group"], {"seeds": row["seeds"]})
            spread = f" ± {rounded(row['std'])}" if row["std"] != NONE else ""
            group[column] = f"{rounded(row['mean'])}{spread}"

    columns = list(dict.fromkeys(column for group in cells.values() for column in group))
    rows = ([name, *(group.get(column, "") for column in columns)] for name, group in cells.items())
    return markdown(["group", *columns], rows)


def rounded(value: str) -> str:
    """Format the text of a number with two decimals; other text stays as it is."""
    try:
        return f"{float(value):.2f}"
    except ValueError:
        return value


def markdown(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Format a table."""
    lines = [header, ["---"] * len(header), *([str(cell).replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
