"""Take one slice of evidence on the accelerator that is here: `make evidence`, again and again until nothing is left.

A slice ends after some minutes, so that a machine that is lent for minutes is enough, and everything that takes longer
goes on from its checkpoint in the next slice. The order is that of what it proves: a step of every method agrees with
one on a CPU; the speed of a step against others; then studies, run by run. It needs neither DVC, Snakemake nor Great
Expectations. What came out is in `docs/evidence/`. The exit code is 0 if nothing is left, and 75 otherwise.
"""

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from whole_in_parts.config.params_file import read
from whole_in_parts.config.study import PARAMS
from whole_in_parts.distributed.environment import default_device
from workflow.evidence import EVIDENCE, importable
from workflow.program import INTERRUPTED
from workflow.study import STUDIES, dump, with_runs

PYTEST = ["pytest", "--quiet", "--numprocesses", "logical", "--maxprocesses", "8", "-p", "no:benchmark"]
MEASUREMENTS = {
    "agreement": [*PYTEST, "tests/whole_in_parts/training/test_accelerator.py"],
    "corruptions": [*PYTEST, "tests/whole_in_parts/evaluation/corruptions"],
    "speed": ["bench.accelerator"],
}
"""Modules with arguments, whose output is the evidence."""
READY = ("claims_logo", "logo", "byol_cifar10", "bags_cifar10:60")
"""Ready studies, and the epochs of their runs if these are fewer."""
JOBS = {"cuda": 4, "cpu": 1}
"""Runs side by side: at 32 px, one leaves a GPU idle while the CPU launches its operations."""


def main() -> None:
    """Take a slice.

    Raises:
        SystemExit: with the exit code.
    """
    parser = argparse.ArgumentParser("python -m workflow.evidence_slice", description=__doc__)
    parser.add_argument("--minutes", type=float, default=9, help="the length of the slice (9)")
    parser.add_argument(
        "--images", type=Path, metavar="ARCHIVE", help="CIFAR-10 as class folders, for want of a network"
    )
    parser.add_argument("--measurements", nargs="*", default=MEASUREMENTS, choices=MEASUREMENTS, metavar="NAME")
    parser.add_argument("--studies", nargs="*", default=READY, metavar="NAME[:EPOCHS]")
    arguments = parser.parse_args()

    deadline = time.monotonic() + 60 * arguments.minutes
    left = [name for name in arguments.measurements if not measure(name, deadline)]
    for study in arguments.studies:
        name, _, epochs = study.partition(":")
        if not build(name, changed(ready(name), epochs, arguments.images), arguments.images, deadline):
            left.append(study)
    if left:
        print(f"left: {', '.join(left)}; the same command goes on", file=sys.stderr)
        sys.exit(INTERRUPTED)


def measure(name: str, deadline: float) -> bool:
    """Run a measurement and keep its output, unless it is there; return whether it is."""
    file = EVIDENCE / "accelerator" / f"{name}.txt"
    if file.exists():
        return True
    if time.monotonic() >= deadline:
        return False

    print(f"measuring {name}", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", *MEASUREMENTS[name]]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=deadline - time.monotonic())
    except subprocess.TimeoutExpired:
        return False
    print(ended.stdout[-2000:] + ended.stderr[-2000:], file=sys.stderr)
    if ended.returncode == 0:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(ended.stdout, encoding="utf-8")
    return ended.returncode == 0


def ready(name: str) -> dict[str, Any]:
    """Read a ready study without recipes and grids."""
    content = read(STUDIES / f"{name}.yaml")
    return with_runs(content, content["runs"])


def changed(content: dict[str, Any], epochs: str, images: Path | None) -> dict[str, Any]:
    """Return a study with other epochs, if any are given, and with the images of an archive, if one is given."""
    if epochs:
        content["runs"] = {name: run | {"epochs": int(epochs)} for name, run in content["runs"].items()}
    if images:
        content["datasets"]["cifar10"]["source"] = {"name": "folder", "path": images.name}
    return content


def build(name: str, content: dict[str, Any], images: Path | None, deadline: float) -> bool:
    """Build a study in a folder of its own until the deadline, collect its runs, and return whether it is whole."""
    folder = Path("scratch/evidence") / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PARAMS).write_text(dump(content), encoding="utf-8")
    if images and not (folder / images.name).exists():
        shutil.copy(images, folder)

    minutes = max(0.0, deadline - time.monotonic()) / 60
    without = [] if find_spec("great_expectations") else ["--without", "contract"]
    jobs = str(JOBS[default_device().type])
    code = call(folder, "workflow.slices", "--minutes", f"{minutes:.2f}", "--jobs", jobs, *without)
    if any((folder / "results").glob("pretrain/*")):
        call(folder, "workflow.evidence", name, "--to", str(EVIDENCE.resolve()))
    return code == 0


def call(folder: Path, module: str, *arguments: str) -> int:
    """Run a module in a folder, and return its exit code."""
    command: Sequence[str] = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=folder, env=importable(), check=False).returncode


if __name__ == "__main__":
    main()
