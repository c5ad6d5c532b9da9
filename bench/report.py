"""Measure how long the report takes and how large its page is, by the size of a study: `python -m bench.report`.

The results are made up (`tests/fake_results.py`): BYOL and CO-BYOL beside a random backbone, three seeds in each group,
under all corruptions.
"""

import tempfile
import time
from contextlib import chdir

from tests.fake_results import BYOL, SIMILARITY, fill, made, runs, study, transfer
from whole_in_parts.config.evaluations import CORRUPTIONS
from whole_in_parts.config.study import Study

AIMS = {10: (20, 30), 300: (120, 30)}
"""By the number of runs, the largest number of seconds and of MB of the page."""


def of_size(count: int) -> Study:
    """Build a study of about `count` runs in groups of three seeds: BYOL and CO-BYOL at growing numbers of epochs."""
    chosen = runs("random", method={"name": "random"}, epochs=0)
    for number in range(1, count // 6 + 1):
        chosen |= runs(f"byol_{number}_epochs", method=BYOL, epochs=number)
        chosen |= runs(f"co_byol_{number}_epochs", method=BYOL, epochs=number, modifier={"name": "co", "weight": 0.2})
    kept = dict(list(chosen.items())[:count])
    entries = {name: SIMILARITY | {"run": name} for name in kept}
    return study(
        runs=kept,
        corrupt={"corruptions": CORRUPTIONS, "subset": 200},
        analyse=entries,
        transfer={name: transfer(name) for name in kept},
    )


def measure(plan: Study) -> tuple[float, float]:
    """Return the seconds that the report of a study takes and the MB of its page."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        fill(plan)
        started = time.perf_counter()
        page = made(plan) / "index.html"
        return time.perf_counter() - started, page.stat().st_size / 1e6


def table() -> None:
    """Print the seconds and the size by the number of runs."""
    print("\n| report | seconds | aim | page, MB | aim |\n|---|---:|---:|---:|---:|")
    for count, (most_seconds, most_megabytes) in AIMS.items():
        seconds, megabytes = measure(of_size(count))
        print(f"| {count} runs | {seconds:.1f} | ≤ {most_seconds} | {megabytes:.1f} | ≤ {most_megabytes} |", flush=True)


if __name__ == "__main__":
    table()
