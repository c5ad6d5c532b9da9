"""Keep what a built study measured under `docs/evidence/NAME/`: `python -m workflow.evidence NAME`.

The folder is a study of its own: `params.yaml`, the small results (metrics, curves, contracts; neither weights nor
features), `conditions.json` with date, hardware, versions, commit and hours, and a `README.md` with the verdicts. A
study of many runs can be built in parts (`python -m workflow.study NAME --runs 'byol*'`): each collection adds its runs
to those that are there. `python -m stages.report --study docs/evidence/NAME` makes the page of all of them.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from whole_in_parts.config.params_file import read
from whole_in_parts.config.study import PARAMS, Study, load_study
from whole_in_parts.failure import Failure
from whole_in_parts.report.asked import OWNERS
from whole_in_parts.results import result_dir
from workflow.evidence_page import readme
from workflow.study import dump, with_runs

EVIDENCE = Path("docs/evidence")
KEPT = ("metrics.json", "history.csv", "contract.json", "*.png")
"""The files of a result that are kept: what the report reads."""
ENTRIES = ("transfer", "analyse")
"""Kinds of stages of a run whose keys are entries of their own."""
UNITED = ("datasets", "runs", *ENTRIES, "export")
"""Sections whose entries are added to those that are there; all others must be the same in every part."""


def main() -> None:
    """Collect the runs of params.yaml that are built.

    Raises:
        SystemExit: none is built, or the settings differ from those of the runs that are there.
    """
    parser = argparse.ArgumentParser("python -m workflow.evidence", description=__doc__)
    parser.add_argument("name", metavar="NAME", help="the folder under docs/evidence/, named like the study")
    parser.add_argument("--to", type=Path, default=EVIDENCE, metavar="FOLDER", help=f"in place of {EVIDENCE}")
    arguments = parser.parse_args()
    folder = arguments.to / arguments.name
    try:
        study = load_study()
        collected = collect(study, folder)
    except (Failure, ValueError, OSError) as error:
        sys.exit(f"workflow.evidence: error: {error}")
    print(f"{folder}: {len(collected)} of {len(study.runs)} runs of {PARAMS}")


def collect(study: Study, folder: Path) -> list[str]:
    """Add the results of all runs that are built to a folder, write its page and its README, and return their names.

    Raises:
        Failure: none is built, or the settings differ from those of the runs that are there.
    """
    runs = [run for run in study.runs if all(result.exists() for result in results_of(study, run))]
    if not runs:
        missing = next(result for run in study.runs for result in results_of(study, run) if not result.exists())
        raise Failure(f"{missing}: missing, and no other run has all of its results; build the study first")
    new, old = with_runs(content_of(PARAMS), runs), content_of(folder / PARAMS)
    whole = united(new, old, folder)

    contracts = [result_dir("contract", dataset) for dataset in study.datasets]
    for result in contracts + [result for run in runs for result in results_of(study, run)]:
        (folder / result).mkdir(parents=True, exist_ok=True)
        for file in (file for pattern in KEPT for file in result.glob(pattern)):
            shutil.copy(file, folder / file)
    (folder / PARAMS).write_text(dump(whole), encoding="utf-8")
    add_conditions(folder / "conditions.json", [run for run in runs if run not in old.get("runs", {})])

    page = subprocess.run(
        [sys.executable, "-m", "stages.report", "--study", str(folder)], env=importable(), check=False
    )
    if page.returncode:
        raise Failure(f"{folder}: the results are kept, but their page was not written; stages.report says why above")
    (folder / "README.md").write_text(readme(folder), encoding="utf-8")
    return runs


def results_of(study: Study, run: str) -> list[Path]:
    """List the results of a run that the report reads."""
    own = [result_dir(kind, run) for kind, section in OWNERS.items() if section == "runs"]
    entries = [(kind, key) for kind in ENTRIES for key, entry in getattr(study, kind).items() if entry.run == run]
    return own + [result_dir(kind, key) for kind, key in entries]


def content_of(file: Path) -> dict[str, Any]:
    """Read a params.yaml without recipes and grids; nothing if there is none."""
    if not file.exists():
        return {}
    content = read(file)
    return with_runs(content, content["runs"])


def united(new: dict[str, Any], old: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Add the entries of one part of a study to those of another.

    Raises:
        Failure: the two differ in a setting.
    """
    if not old:
        return new
    for section in sorted({*new, *old} - {*UNITED, "published"}):
        if new.get(section) != old.get(section):
            raise Failure(
                f"{section}: the settings differ from those in {folder / PARAMS}; collect into another folder"
            )
    for section in UNITED:
        both = new.get(section, {}).keys() & old.get(section, {}).keys()
        if changed := [key for key in sorted(both) if new[section][key] != old[section][key]]:
            raise Failure(f"{section}.{changed[0]}: differs from {folder / PARAMS}; collect into another folder")

    rows = old.get("published", []) + [row for row in new.get("published", []) if row not in old.get("published", [])]
    whole = old | {section: old.get(section, {}) | new[section] for section in UNITED if section in new}
    return whole | ({"published": rows} if rows else {})


def add_conditions(file: Path, runs: list[str]) -> None:
    """Append under which conditions runs were measured that were not there before."""
    if not runs:
        return
    conditions = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []

    seconds = [json.loads((result_dir("pretrain", run) / "metrics.json").read_text())["seconds"] for run in runs]
    conditions.append(
        {
            "date": datetime.now(UTC).date().isoformat(),
            "runs": len(runs),
            "training_hours": round(sum(seconds) / 3600, 2),
            "hardware": hardware(),
            "torch": version("torch"),
            "commit": commit(),
        }
    )

    file.write_text(json.dumps(conditions, indent=2) + "\n", encoding="utf-8")


def hardware() -> str:
    """Name the GPU, or the processor and the number of its cores."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return f"{os.cpu_count()} cores, {names[0].partition(': ')[2] if names else platform.machine()}"


def commit() -> str:
    """Return the commit of the working tree; empty outside a repository."""
    shown = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return shown.stdout.strip()


def importable() -> dict[str, str]:
    """Return the environment in which a process in another folder finds this project."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])}


if __name__ == "__main__":
    main()
