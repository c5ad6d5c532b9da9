"""Write docs/papers/NAME.md, a page for each paper, from its file and the ready studies: `make papers`.

A page has the claims of the paper as they are tested, and its tables: for each row that a ready study measures, the
study, the run, and the metric of each column; and which rows have none.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from whole_in_parts.config.paper import Between, Paper, PaperClaim, PublishedRow, load_papers
from whole_in_parts.config.study import load_study

STUDIES = Path(__file__).parent / "studies"
PAGES = Path(__file__).parents[1] / "docs/papers"

Rows = list[tuple[str, PublishedRow]]
"""Rows with the names of the studies that measure them."""


def main() -> None:
    """Write the pages."""
    PAGES.mkdir(exist_ok=True)
    for name, text in pages().items():
        (PAGES / f"{name}.md").write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """Return the page of each paper."""
    measured = list(rows())
    return {
        name: page(paper, [(study, row) for study, row in measured if row.paper == name])
        for name, paper in load_papers().items()
    }


def rows() -> Iterator[tuple[str, PublishedRow]]:
    """Yield the published rows of all ready studies, in the order of the papers' tables."""
    found = [(file.stem, row) for file in sorted(STUDIES.glob("*.yaml")) for row in load_study(file).published]
    order = {name: list(paper.tables) for name, paper in load_papers().items()}
    yield from sorted(found, key=lambda item: order[item[1].paper].index(item[1].table))


def page(paper: Paper, measured: Rows) -> str:
    """Write the page of a paper."""
    lines = [
        f"# {paper.title}",
        "",
        "Written by `make papers` from `whole_in_parts/config/papers/` and the ready studies; what all papers have in",
        "common is on the page of [papers](../papers.md).",
        "",
        "## Claims",
        "",
        "| claim | place | supported by a difference | published differences |",
        "|---|---|---|---|",
        *(claim_line(paper, claim) for claim in paper.claims.values()),
        "",
        "## Tables",
    ]
    for number in paper.tables:
        lines += ["", *table(paper, number, [(study, row) for study, row in measured if row.table == number])]
    return re.sub("\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def claim_line(paper: Paper, claim: PaperClaim) -> str:
    """Write a claim as a line of a table."""
    published = ", ".join(f"{difference:+.1f}" for difference in paper.published_differences(claim))
    return f"| {claim.says} | {claim.place} | {bounds(claim.difference)} | {published} |"


def bounds(expected: Between) -> str:
    """Write the bounds of a difference."""
    written = [("above", expected.above), ("below", expected.below)]
    return " and ".join(f"{name} {bound:g}" for name, bound in written if abs(bound) != float("inf"))


def table(paper: Paper, number: str, measured: Rows) -> Iterator[str]:
    """Write which run measures which row of a table."""
    content = paper.tables[number]
    yield f"### Table {number}: {content.caption}"
    yield ""
    if measured:
        yield from ("| row | study | run | column: metric |", "|---|---|---|---|")
        for study, row in measured:
            metrics = ", ".join(f"{column}: `{metric}`" for column, metric in row.metrics.items())
            yield f"| {row.row} | `{study}` | `{row.run}` | {metrics} |"
        yield ""

    without = [name for name in content.rows if name not in {row.row for _, row in measured}]
    if without:
        yield f"Without a run in a ready study: {'; '.join(without)}."
        yield ""
    yield from (f"- {note}" for note in content.notes)


if __name__ == "__main__":
    main()
