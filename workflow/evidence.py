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

import yaml

from whole_in_parts.config.study import PARAMS, YAML, Study, load_study
from whole_in_parts.failure import Failure
from whole_in_parts.report.results import OWNERS
from whole_in_parts.results import result_dir
from workflow.evidence_page import readme
from workflow.study import dump, with_runs

EVIDENCE = Path("docs/evidence")
KEPT = ("metrics.json", "history.csv", "contract.json", "*.png")
"""The files of a result that are kept: what the report reads."""
UNITED = ("datasets", "runs", "transfer", "analyse", "export")
"""Sections whose entries are added to those that are there; all others must be the same in every part."""


def main() -> None:
    """Collect the study of params.yaml.

    Raises:
        SystemExit: a result is missing, or the settings differ from those of the runs that are there.
    """
    parser = argparse.ArgumentParser("python -m workflow.evidence", description=__doc__)
    parser.add_argument("name", metavar="NAME", help="the folder under docs/evidence/, named like the study")
    name = parser.parse_args().name
    try:
        collect(load_study(), EVIDENCE / name)
    except (Failure, ValueError, OSError) as error:
        sys.exit(f"workflow.evidence: error: {error}")


def collect(study: Study, folder: Path) -> None:
    """Add the results of a study to a folder, and write its page and its README.

    Raises:
        Failure: a result is missing, or the settings differ from those of the runs that are there.
    """
    results = kept_results(study)
    whole = united(content_of(PARAMS), content_of(folder / PARAMS), folder)

    for result in results:
        (folder / result).mkdir(parents=True, exist_ok=True)
        for pattern in KEPT:
            for file in result.glob(pattern):
                shutil.copy(file, folder / file)
    (folder / PARAMS).write_text(dump(whole), encoding="utf-8")
    add_conditions(folder / "conditions.json", study)

    subprocess.run([sys.executable, "-m", "stages.report", "--study", str(folder)], check=True, env=importable())
    (folder / "README.md").write_text(readme(folder), encoding="utf-8")


def kept_results(study: Study) -> list[Path]:
    """List the results that the report reads.

    Raises:
        Failure: one is missing.
    """
    results = [result_dir(kind, key) for kind, section in OWNERS.items() for key in getattr(study, section)]
    if missing := [str(result) for result in results if not result.exists()]:
        raise Failure(f"{missing[0]}: missing, with {len(missing) - 1} others; build the study first")
    return results


def content_of(file: Path) -> dict[str, Any]:
    """Read a params.yaml without recipes and grids; nothing if there is none."""
    if not file.exists():
        return {}
    content = yaml.load(file.read_text(encoding="utf-8"), YAML)
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


def add_conditions(file: Path, study: Study) -> None:
    """Append under which conditions the runs of a study were measured."""
    conditions = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    seconds = [json.loads((result_dir("pretrain", run) / "metrics.json").read_text())["seconds"] for run in study.runs]
    conditions.append(
        {
            "date": datetime.now(UTC).date().isoformat(),
            "runs": len(study.runs),
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
