"""How long each engine takes to find that there is nothing to do, on the study that is built here."""

import statistics
import subprocess
import time

REPEATS = 3
COMMANDS = {("snakemake", "--cores", "all"): 15, ("dvc", "repro"): 10}


def seconds(command: tuple[str, ...]) -> float:
    """The median of some calls; each has to find nothing to do."""
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        printed = subprocess.run(command, check=True, capture_output=True, text=True)
        taken.append(time.perf_counter() - started)
        if "Nothing to be done" not in printed.stderr and "up to date" not in printed.stdout:
            raise SystemExit(f"{' '.join(command)} had something to do: build the study first (make study)")
    return statistics.median(taken)


def rows() -> list[tuple[str, float, float]]:
    """What was measured, the seconds, and the most that they should be."""
    return [(" ".join(command), seconds(command), most) for command, most in COMMANDS.items()]
