"""How time grows with the size of a study: what a stage costs beside its own work, and to find that nothing is to do.

The study is made up: every run is BYOL on the digits with a seed of its own, and each stage's result is one small file,
entered in `dvc.lock` as if it had been built. `python -m bench.many_runs`
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from dvc.repo import Repo
from dvc.stage.serialize import to_lockfile

from workflow.dvc_stages import Stage
from workflow.read_once import read_once

ROOT = Path(__file__).parents[1]
PARTS = ("Snakefile", "dvc.yaml", ".dvcignore", ".gitignore", "profiles", "stages", "whole_in_parts", "workflow")
RUNS = (3, 30, 300)
REPEATS = 3
MOST_SECONDS = 60
MOST_COST_SECONDS = 2
COMMANDS = (("snakemake", "-n"), ("snakemake", "--cores", "all"), ("dvc", "status"))
STAGE = "mask@run_0"
NOTHING = '''"""Write one file: `results/mask/<run>/`."""

from pathlib import Path

from workflow import program
from whole_in_parts.config.study import Study


def mask(study: Study, run: str, directory: Path) -> None:
    (directory / "metrics.json").write_text(f"mask@{run}")


if __name__ == "__main__":
    program.run(mask)
'''
"""A stage that does nothing, in the place of one that does."""


def study(runs: int) -> dict[str, Any]:
    """The small study with so many runs, and a transfer and an analysis of each."""
    content = yaml.safe_load((ROOT / "workflow/studies/small.yaml").read_text())
    byol, transfer = content["runs"]["byol"], {"dataset": "digits", "task": {"name": "linear"}}
    analyse = {"dataset": "digits", "analysis": {"name": "similarity", "pairs": 100}, "subset": 100}
    names = [f"run_{number}" for number in range(runs)]
    content["runs"] = {name: byol | {"seed": number} for number, name in enumerate(names)}
    content["transfer"] = {name: transfer | {"run": name} for name in names}
    content["analyse"] = {name: analyse | {"run": name} for name in names}
    return content


def make(folder: Path, runs: int) -> int:
    """Put the study there as if it were built, and say how many stages it has."""
    for part in PARTS:
        source = ROOT / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / part)
    (folder / "stages/mask.py").write_text(NOTHING)
    (folder / "params.yaml").write_text(yaml.safe_dump(study(runs), sort_keys=False))
    for command in (("git", "init", "--quiet"), ("dvc", "init", "--quiet"), (sys.executable, "-m", "stages.resolve")):
        subprocess.run(command, cwd=folder, check=True)
    with chdir(folder), Repo() as repo, repo.lock, read_once():
        stages = repo.index.stages
        for stage in stages:
            if stage.addressing != "resolve":
                pretend(stage.addressing, Path(stage.outs[0].def_path))
        for stage in stages:
            stage.save(run_cache=False)
            stage.commit()
        locked = {name: entry for stage in stages for name, entry in plain(to_lockfile(stage)).items()}
        Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": locked}, sort_keys=False))
    return len(stages)


def pretend(address: str, place: Path) -> None:
    """Write the files that other stages read of a result."""
    for name in ("metrics.json", "method.safetensors", "model/config.json"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(address)


def plain(value: object) -> Any:
    """The same content in Python's own types."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def seconds(command: tuple[str, ...], folder: Path, **environment: str) -> float:
    """How long a command takes.

    Raises:
        SystemExit: it fails.
    """
    started = time.perf_counter()
    ran = subprocess.run(command, cwd=folder, env=os.environ | environment, capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(f"{' '.join(command)}: {(ran.stdout + ran.stderr)[-2000:]}")
    return time.perf_counter() - started


def idle_seconds(command: tuple[str, ...], folder: Path) -> float:
    """The median of some calls of a command that finds nothing to do."""
    return statistics.median(seconds(command, folder) for _ in range(REPEATS))


def costs(folder: Path) -> tuple[float, float]:
    """What a stage that does nothing takes beside its own work, in a job of Snakemake and by DVC's command."""
    with chdir(folder):
        mark = Stage.read_mark(Path(f".snakemake/stale/results/{STAGE.replace('@', '/')}.json"))
        replace(mark, forced=True).write_mark()
    own = seconds((sys.executable, "-m", "stages.mask"), folder, DVC_STAGE=STAGE)
    job = statistics.median(seconds((sys.executable, "-m", "workflow.job", STAGE), folder) for _ in range(REPEATS))
    dvc = seconds(("dvc", "repro", "--force", "--single-item", STAGE), folder)
    return job - own, dvc - own


def table() -> None:
    """Print the seconds for each number of runs."""
    found: dict[int, list[float]] = {}
    cost: dict[int, tuple[float, float]] = {}
    for runs in RUNS:
        with tempfile.TemporaryDirectory() as name:
            stages = make(Path(name), runs)
            found[stages] = [idle_seconds(command, Path(name)) for command in COMMANDS]
            cost[stages] = costs(Path(name))
    heads = " | ".join(f"{stages:,} stages" for stages in found)
    print(f"\n| seconds | {heads} | aim |\n|---|{'---:|' * len(found)}---:|")
    for number, command in enumerate(COMMANDS):
        cells = " | ".join(f"{row[number]:.1f}" for row in found.values())
        print(f"| `{' '.join(command)}`, nothing to do | {cells} | ≤ {MOST_SECONDS} |", flush=True)
    for number, what in enumerate(("a job of Snakemake", "`dvc repro --single-item`")):
        cells = " | ".join(f"{pair[number]:.1f}" for pair in cost.values())
        aim = f"≤ {MOST_COST_SECONDS}" if number == 0 else ""
        print(f"| a stage beside its own work, by {what} | {cells} | {aim} |", flush=True)


if __name__ == "__main__":
    table()
