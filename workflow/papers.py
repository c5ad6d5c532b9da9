"""Write the tables of docs/papers.md from the ready studies: `python -m workflow.papers`, or `make papers`.

A line is a row of a paper's table, with the study that measures it, the run, and the metric of each column.
"""

from collections.abc import Iterator
from pathlib import Path

from whole_in_parts.config.paper import PublishedRow, load_papers
from whole_in_parts.config.study import load_study

STUDIES = Path(__file__).parent / "studies"
PAGE = Path(__file__).parents[1] / "docs/papers.md"
BEGIN = "<!-- From here on written by: python -m workflow.papers -->"
HEADER = ["| table | row | study | run | column: metric |", "|---|---|---|---|---|"]


def main() -> None:
    """Rewrite the page below the mark."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def page(text: str) -> str:
    """Return the page with its tables as the studies are."""
    above = text.partition(BEGIN)[0]
    published = list(rows())
    sections = [
        "\n".join(["", f"## {paper.title}", "", *HEADER, *(line(*row) for row in published if row[1].paper == name)])
        for name, paper in load_papers().items()
    ]
    return "\n".join([above + BEGIN, *sections, ""])


def rows() -> Iterator[tuple[str, PublishedRow]]:
    """Yield the published rows of all ready studies, in the order of the papers' tables."""
    found = [(file.stem, row) for file in sorted(STUDIES.glob("*.yaml")) for row in load_study(file).published]
    order = {name: list(paper.tables) for name, paper in load_papers().items()}
    yield from sorted(found, key=lambda item: order[item[1].paper].index(item[1].table))


def line(study: str, row: PublishedRow) -> str:
    """Write a row as a line of a table."""
    metrics = ", ".join(f"{column}: `{metric}`" for column, metric in row.metrics.items())
    return f"| {row.table} | {row.row} | `{study}` | `{row.run}` | {metrics} |"


if __name__ == "__main__":
    main()
