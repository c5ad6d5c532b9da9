"""Time how long DVC and Snakemake take to find an up-to-date study."""

import statistics
import subprocess
import time

REPEATS = 3
COMMANDS = {("snakemake", "--cores", "all"): 15, ("dvc", "repro"): 10}
"""The commands, with the most seconds that they should take."""


def seconds(command: tuple[str, ...]) -> float:
    """Time a command: the median of several calls.

    Raises:
        SystemExit: the study is not up to date.
    """
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        process = subprocess.run(command, check=True, capture_output=True, text=True)
        times.append(time.perf_counter() - started)
        if "Nothing to be done" not in process.stderr and "up to date" not in process.stdout:
            raise SystemExit(f"{' '.join(command)} had something to do: build the study first (make study)")
    return statistics.median(times)


def rows() -> list[tuple[str, float, float]]:
    """List the commands with their seconds and the aims."""
    return [(" ".join(command), seconds(command), limit) for command, limit in COMMANDS.items()]
