"""How far what tests learn is from the bounds they claim: `python -m tests.margins [pytest's arguments]`.

Runs the tests marked `learns` with each of ten seeds, by one thread and by two, and prints what `docs/margins.md` has.
Of a test with parameters, the ones whose margin is the smallest part of its spread stand for all.
"""

import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

SEEDS, THREADS = range(10), (1, 2)
CLAIM = re.compile(r"(\S+) ([<>]) (\S+)")


class Row(NamedTuple):
    """What a test with some parameters claims of one quantity, and what was found with each seed."""

    test: str
    quantity: str
    sign: str
    bound: float
    found: list[float]

    @property
    def worst(self) -> float:
        return min(self.found) if self.sign == ">" else max(self.found)

    @property
    def spread(self) -> float:
        return max(self.found) - min(self.found)

    @property
    def margin(self) -> float:
        """How far the worst is within the bound."""
        return self.worst - self.bound if self.sign == ">" else self.bound - self.worst

    @property
    def spreads(self) -> float:
        """The margin in spreads."""
        return self.margin / self.spread if self.spread else float("inf")

    def __str__(self) -> str:
        figures = f"{self.sign} {self.bound:.4g} | {self.worst:.4g} | {self.spread:.3g} | {self.spreads:.1f}"
        return f"| `{self.test}` | {self.quantity} | {figures} |"


def claims(arguments: list[str], seed: int, threads: int) -> Iterator[tuple[str, str, str, float, float]]:
    """The test, the quantity, the sign and the bound of each claim, and what was found."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        options = ["-m", "learns", f"--seed={seed}", f"--threads={threads}", f"--junit-xml={report}", "--quiet"]
        subprocess.run([sys.executable, "-m", "pytest", *options, *arguments], stdout=sys.stderr, check=False)
        for case in ElementTree.parse(report).iter("testcase"):
            for each in case.iter("property"):
                if told := CLAIM.fullmatch(each.get("value", "")):
                    found, sign, bound = told.groups()
                    yield case.get("name", ""), each.get("name", ""), sign, float(bound), float(found)


def main(arguments: list[str]) -> None:
    found = defaultdict[tuple, list[float]](list)
    for seed in SEEDS:
        for threads in THREADS:
            for *claim, value in claims(arguments, seed, threads):
                found[tuple(claim)].append(value)
    rows = [Row(*claim, values) for claim, values in found.items()]
    least = dict[tuple[str, str], Row]()
    for row in sorted(rows, key=lambda row: row.spreads, reverse=True):
        least[row.test.partition("[")[0], row.quantity] = row
    print("| test | quantity | bound | worst | spread | margin, in spreads |\n|---|---|---|---|---|---|")
    print(*sorted(least.values()), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
