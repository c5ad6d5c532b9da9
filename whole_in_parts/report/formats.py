"""Files of a table: CSV in full precision, and for papers and notes LaTeX and Markdown, rounded to two decimals."""

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

MISSING = "missing"
BLANK = ""
"""A cell that was not asked for."""


def write_csv(file: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file; `missing` stands for missing numbers, None or NaN."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([MISSING if is_missing(value) else value for value in row] for row in rows)


def write_all(file: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write `file` with the endings .csv, .md and .tex."""
    kept = list(rows)
    write_csv(file.with_suffix(".csv"), header, kept)

    rounded = [[rounded_text(value) for value in row] for row in kept]
    lines = [header, ["---"] * len(header), *([text.replace("|", r"\|") for text in row] for row in rounded)]
    markdown = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    file.with_suffix(".md").write_text(markdown, encoding="utf-8", newline="\n")

    latex = pd.DataFrame(rounded, columns=list(header)).to_latex(index=False, escape=True)
    file.with_suffix(".tex").write_text(latex, encoding="utf-8", newline="\n")


def is_missing(value: object) -> bool:
    """Return whether a cell stands for a number that should be there and is not."""
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def rounded_text(value: object) -> str:
    """Format a value as text: fractional numbers with two decimals."""
    if is_missing(value):
        return MISSING
    return f"{value:.2f}" if isinstance(value, float) else str(value)
