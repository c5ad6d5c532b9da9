"""Measure how the overhead of a stage, and the time to find an up-to-date study, grow with the size of a study.

The study is synthetic: its runs are BYOL on the digits with different seeds, and the results are small files that are
recorded in `dvc.lock` as if they had been built. `python -m bench.many_runs`
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
PROJECT = (
    "Snakefile",
    "dvc.yaml",
    ".dvcignore",
    ".gitignore",
    "profiles",
    "stages",
    "whole_in_parts",
    "workflow",
)
RUNS = (3, 30, 300)
REPEATS = 3
IDLE_LIMIT = 60
OVERHEAD_LIMIT = 2
COMMANDS = (("snakemake", "-n"), ("snakemake", "--cores", "all"), ("dvc", "status"))
STAGE = "mask@run_0"
EMPTY_STAGE = '''"""Write one file: `results/mask/<run>/`."""

from pathlib import Path

from workflow import program
from whole_in_parts.config.study import Study


def mask(study: Study, run: str, directory: Path) -> None:
    (directory / "metrics.json").write_text(f"mask@{run}")


if __name__ == "__main__":
    program.run(mask)
'''
"""A stage without work, which replaces `stages/mask.py`."""


def study(runs: int) -> dict[str, Any]:
    """Build the small study with `runs` runs, and a transfer and an analysis per run."""
    content = yaml.safe_load((ROOT / "workflow/studies/small.yaml").read_text())
    byol = content["runs"]["byol"]
    transfer = {"dataset": "digits", "task": {"name": "linear"}}
    analyse = {"dataset": "digits", "analysis": {"name": "similarity", "pairs": 100}, "subset": 100}
    names = [f"run_{number}" for number in range(runs)]
    content["runs"] = {name: byol | {"seed": number} for number, name in enumerate(names)}
    content["transfer"] = {name: transfer | {"run": name} for name in names}
    content["analyse"] = {name: analyse | {"run": name} for name in names}
    return content


def make(folder: Path, runs: int) -> int:
    """Create a built study in a folder, and return its number of stages."""
    for name in PROJECT:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    (folder / "stages/mask.py").write_text(EMPTY_STAGE)
    (folder / "params.yaml").write_text(yaml.safe_dump(study(runs), sort_keys=False))
    for command in (("git", "init", "--quiet"), ("dvc", "init", "--quiet"), (sys.executable, "-m", "stages.resolve")):
        subprocess.run(command, cwd=folder, check=True)

    # Record every stage as DVC does, with one write of dvc.lock instead of one per stage.
    with chdir(folder), Repo() as repo, repo.lock, read_once():
        stages = repo.index.stages
        for stage in stages:
            if stage.addressing != "resolve":
                write_results(stage.addressing, Path(stage.outs[0].def_path))
        for stage in stages:
            stage.save(run_cache=False)
            stage.commit()
        locked = {name: entry for stage in stages for name, entry in plain(to_lockfile(stage)).items()}
        Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": locked}, sort_keys=False))
    return len(stages)


def write_results(address: str, directory: Path) -> None:
    """Write the files of a result that other stages read."""
    for name in ("metrics.json", "method.safetensors", "model/config.json"):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(address)


def plain(value: object) -> Any:
    """Convert nested containers to dict and list."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def seconds(command: tuple[str, ...], folder: Path, **environment: str) -> float:
    """Time a command.

    Raises:
        SystemExit: the command fails.
    """
    started = time.perf_counter()
    process = subprocess.run(command, cwd=folder, env=os.environ | environment, capture_output=True, text=True)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: {(process.stdout + process.stderr)[-2000:]}")
    return time.perf_counter() - started


def idle_seconds(command: tuple[str, ...], folder: Path) -> float:
    """Time a command on an up-to-date study: the median of several calls."""
    return statistics.median(seconds(command, folder) for _ in range(REPEATS))


def overheads(folder: Path) -> tuple[float, float]:
    """Measure the overhead of running a stage in a job of Snakemake and by DVC's command, in seconds."""
    with chdir(folder):
        mark = Stage.read_mark(Path(f".snakemake/stale/results/{STAGE.replace('@', '/')}.json"))
        replace(mark, forced=True).write_mark()
    work = seconds((sys.executable, "-m", "stages.mask"), folder, DVC_STAGE=STAGE)
    job = statistics.median(seconds((sys.executable, "-m", "workflow.job", STAGE), folder) for _ in range(REPEATS))
    dvc = seconds(("dvc", "repro", "--force", "--single-item", STAGE), folder)
    return job - work, dvc - work


def table() -> None:
    """Print the seconds by number of stages."""
    idle: dict[int, list[float]] = {}
    overhead: dict[int, tuple[float, float]] = {}
    for runs in RUNS:
        with tempfile.TemporaryDirectory() as name:
            stages = make(Path(name), runs)
            idle[stages] = [idle_seconds(command, Path(name)) for command in COMMANDS]
            overhead[stages] = overheads(Path(name))

    heads = " | ".join(f"{stages:,} stages" for stages in idle)
    print(f"\n| seconds | {heads} | aim |\n|---|{'---:|' * len(idle)}---:|")
    for number, command in enumerate(COMMANDS):
        cells = " | ".join(f"{row[number]:.1f}" for row in idle.values())
        print(f"| `{' '.join(command)}`, nothing to do | {cells} | ≤ {IDLE_LIMIT} |", flush=True)
    for number, engine in enumerate(("a job of Snakemake", "`dvc repro --single-item`")):
        cells = " | ".join(f"{pair[number]:.1f}" for pair in overhead.values())
        aim = f"≤ {OVERHEAD_LIMIT}" if number == 0 else ""
        print(f"| a stage beside its own work, by {engine} | {cells} | {aim} |", flush=True)


if __name__ == "__main__":
    table()
