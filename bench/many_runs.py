"""How long Snakemake takes on a study of many runs: to say what would run, and to find that there is nothing to do.

The study is made up: every run is BYOL on the digits with a seed of its own, and each stage's result is one small file,
entered in `dvc.lock` as if it had been built. DVC by itself parses the parameters anew for each stage, so that its time
grows with their square: it is not called here. `python -m bench.many_runs`
"""

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from contextlib import chdir
from pathlib import Path

import yaml
from dvc.repo import Repo
from dvc.stage.serialize import to_lockfile

from workflow.dvc_stages import read_once

ROOT = Path(__file__).parents[1]
PARTS = ("Snakefile", "dvc.yaml", ".dvcignore", ".gitignore", "stages", "workflow")
RUNS = (30, 300)
REPEATS = 3
MOST_SECONDS = 60
COMMANDS = (("snakemake", "-n"), ("snakemake", "--cores", "all"))


def study(runs: int) -> dict:
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
    (folder / "params.yaml").write_text(yaml.safe_dump(study(runs), sort_keys=False))
    for command in (("git", "init", "--quiet"), ("dvc", "init", "--quiet")):
        subprocess.run(command, cwd=folder, check=True)
    with chdir(folder), Repo() as repo, repo.lock, read_once():
        stages = repo.index.stages
        for stage in stages:
            place = Path(stage.outs[0].def_path)
            place.mkdir(parents=True, exist_ok=True)
            for name in ("metrics.json", "method.safetensors", "model/config.json"):
                (place / name).parent.mkdir(exist_ok=True)
                (place / name).write_text(stage.addressing)
        for stage in stages:
            stage.save(run_cache=False)
            stage.commit()
        locked = {name: entry for stage in stages for name, entry in plain(to_lockfile(stage)).items()}
        Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": locked}, sort_keys=False))
    return len(stages)


def plain(value):
    """The same content in Python's own types."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def seconds(command: tuple[str, ...], folder: Path) -> float:
    """The median of some calls, each of which finds nothing to do."""
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        ran = subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, text=True)
        taken.append(time.perf_counter() - started)
        printed = ran.stdout + ran.stderr
        if ran.returncode or not any(word in printed for word in ("Nothing to be done", "up to date")):
            raise SystemExit(f"{' '.join(command)} did not find that there is nothing to do: {printed[-2000:]}")
    return statistics.median(taken)


def table() -> None:
    """Print the seconds for each number of runs, and how they grow."""
    found: dict[int, list[float]] = {}
    counts = []
    for runs in RUNS:
        with tempfile.TemporaryDirectory() as name:
            counts.append(make(Path(name), runs))
            found[runs] = [seconds(command, Path(name)) for command in COMMANDS]
    few, many = RUNS
    print(f"\n| seconds, nothing to do | {counts[0]} stages | {counts[1]} stages | times | aim |")
    print("|---|---:|---:|---:|---:|")
    for command, first, second in zip(COMMANDS, found[few], found[many], strict=True):
        times = second / first
        print(f"| `{' '.join(command)}` | {first:.1f} | {second:.1f} | {times:.1f} | ≤ {MOST_SECONDS} s |", flush=True)


if __name__ == "__main__":
    table()
