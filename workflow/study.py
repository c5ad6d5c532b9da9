"""Put a ready study of `workflow/studies/` in the place of `params.yaml`: `python -m workflow.study NAME`.

`make study STUDY=NAME` does so and builds it. `--seeds 0 1` takes the runs of these seeds alone, so that a study of
many seeds can be built in parts. A `params.yaml` with edits that git does not have is left alone.
"""

import argparse
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from whole_in_parts.config.evaluations import NOT_ASKED
from whole_in_parts.config.study import PARAMS, YAML, load_study

STUDIES = Path(__file__).parent / "studies"
OF_A_RUN = ("transfer", "analyse", "export")
"""Sections whose entries name a run."""


def main() -> None:
    """Copy the study.

    Raises:
        SystemExit: there is no such study, it has no runs of a seed, or an edit of params.yaml would be lost.
    """
    names = sorted(file.stem for file in STUDIES.glob("*.yaml"))
    parser = argparse.ArgumentParser("python -m workflow.study", description=__doc__)
    parser.add_argument("name", metavar="NAME", choices=names, help=f"one of {', '.join(names)}")
    parser.add_argument("--seeds", type=int, nargs="+", metavar="SEED", help="take the runs of these seeds alone")
    arguments = parser.parse_args()
    try:
        take(arguments.name, arguments.seeds)
    except ValueError as error:
        sys.exit(f"workflow.study: error: {error}")


def take(name: str, seeds: Collection[int] | None = None) -> None:
    """Replace params.yaml by a ready study, or by its runs of some seeds.

    Raises:
        ValueError: an edit of params.yaml would be lost, or the study has no run of one of the seeds.
    """
    text = (STUDIES / f"{name}.yaml").read_text(encoding="utf-8")
    if PARAMS.exists() and not kept_elsewhere(PARAMS.read_text(encoding="utf-8")):
        raise ValueError(f"{PARAMS} has edits that git does not have; commit them, or: git checkout {PARAMS}")
    PARAMS.write_text(text if seeds is None else of_seeds(text, seeds), encoding="utf-8")
    load_study()
    print(f"{PARAMS} is now {STUDIES.name}/{name}.yaml; to go back: git checkout {PARAMS}")


def of_seeds(text: str, seeds: Collection[int]) -> str:
    """Return a study with the runs of some seeds, and what is asked of them.

    Raises:
        ValueError: the study has no run of one of the seeds.
    """
    content = yaml.load(text, YAML)
    seed_of = {name: run.get("seed", 0) for name, run in content["runs"].items()}
    if unknown := sorted(set(seeds) - {*seed_of.values()}):
        raise ValueError(f"--seeds: the study has no run of seed {unknown[0]}; it has {sorted({*seed_of.values()})}")
    return dump(with_runs(content, {name for name, seed in seed_of.items() if seed in seeds}))


def with_runs(content: dict[str, Any], runs: Collection[str]) -> dict[str, Any]:
    """Return the content of a study with some of its runs, in their order, and what is asked of them."""
    part = {name: section for name, section in content.items() if name not in ("recipes", "grids")}
    part["runs"] = {name: run for name, run in content["runs"].items() if name in runs}
    for section in OF_A_RUN:
        if section in content:
            part[section] = {name: entry for name, entry in content[section].items() if entry["run"] in runs}
    for section in NOT_ASKED:
        if "runs" in content.get(section, {}):
            part[section] = content[section] | {"runs": [name for name in content[section]["runs"] if name in runs]}
    if "published" in content:
        part["published"] = [row for row in content["published"] if row["run"] in runs]
    return part


def dump(content: dict[str, Any]) -> str:
    """Write the content of a study as YAML without anchors."""

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    return yaml.dump(content, Dumper=Plain, sort_keys=False, allow_unicode=True, width=120)


def kept_elsewhere(text: str) -> bool:
    """Return whether a text is that of a ready study, of some seeds of one, or of params.yaml in the last commit."""
    if any(text in versions(file.read_text(encoding="utf-8"), text) for file in STUDIES.glob("*.yaml")):
        return True
    shown = subprocess.run(["git", "show", f"HEAD:./{PARAMS}"], capture_output=True, text=True, check=False)
    return shown.returncode == 0 and shown.stdout == text


def versions(study: str, text: str) -> list[str]:
    """Return a ready study, and its part that has the seeds of the runs of a text, if there is such a part."""
    try:
        seeds = {run.get("seed", 0) for run in yaml.load(text, YAML)["runs"].values()}
        return [study, of_seeds(study, seeds)]
    except (ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return [study]


if __name__ == "__main__":
    main()
