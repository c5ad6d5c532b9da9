"""Put a ready study of `workflow/studies/` in the place of `params.yaml`: `python -m workflow.study NAME`.

`make study STUDY=NAME` does so and builds it. `--runs 'byol*'` takes the runs with such names alone, so that a study of
many runs can be built in parts. A `params.yaml` with edits that git does not have is left alone.
"""

import argparse
import fnmatch
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import yaml

from whole_in_parts.config.evaluations import NOT_ASKED
from whole_in_parts.config.params_file import parse
from whole_in_parts.config.study import PARAMS, load_study

STUDIES = Path(__file__).parent / "studies"
ENTRIES_OF_RUNS = ("transfer", "analyse", "export")
"""Sections whose entries name a run."""


def main() -> None:
    """Copy the study.

    Raises:
        SystemExit: there is no such study, it has no such runs, or an edit of params.yaml would be lost.
    """
    names = sorted(file.stem for file in STUDIES.glob("*.yaml"))
    parser = argparse.ArgumentParser("python -m workflow.study", description=__doc__)
    parser.add_argument("name", metavar="NAME", choices=names, help=f"one of {', '.join(names)}")
    parser.add_argument("--runs", nargs="+", metavar="PATTERN", help="take the runs with such names alone: 'byol*'")
    arguments = parser.parse_args()
    try:
        take(arguments.name, arguments.runs)
    except ValueError as error:
        sys.exit(f"workflow.study: error: {error}")


def take(name: str, patterns: Sequence[str] = ()) -> None:
    """Replace params.yaml by a ready study, or by its runs whose names match one of the patterns.

    Raises:
        ValueError: an edit of params.yaml would be lost, or no run matches a pattern.
    """
    text = (STUDIES / f"{name}.yaml").read_text(encoding="utf-8")
    if PARAMS.exists() and not kept_elsewhere(PARAMS.read_text(encoding="utf-8")):
        raise ValueError(f"{PARAMS} has edits that git does not have; commit them, or: git checkout {PARAMS}")
    PARAMS.write_text(matching(text, patterns) if patterns else text, encoding="utf-8")
    load_study()
    print(f"{PARAMS} is now {STUDIES.name}/{name}.yaml; to go back: git checkout {PARAMS}")


def matching(text: str, patterns: Sequence[str]) -> str:
    """Return a study with the runs whose names match one of the patterns, and what is asked of them.

    Raises:
        ValueError: no run matches a pattern.
    """
    content = parse(text, PARAMS)
    found = {pattern: fnmatch.filter(content["runs"], pattern) for pattern in patterns}
    if unknown := [pattern for pattern, names in found.items() if not names]:
        raise ValueError(f"--runs: no run is called {unknown[0]}; there are: {', '.join(content['runs'])}")
    return dump(with_runs(content, {name for names in found.values() for name in names}))


def with_runs(content: dict[str, Any], runs: Collection[str]) -> dict[str, Any]:
    """Return the content of a study with some of its runs, in their order, and what is asked of them."""
    part = {name: section for name, section in content.items() if name not in ("recipes", "grids")}
    part["runs"] = {name: run for name, run in content["runs"].items() if name in runs}
    for section in ENTRIES_OF_RUNS:
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
    """Return whether a text is that of a ready study, of some runs of one, or of params.yaml in the last commit."""
    if any(is_part(text, file.read_text(encoding="utf-8")) for file in STUDIES.glob("*.yaml")):
        return True
    shown = subprocess.run(["git", "show", f"HEAD:./{PARAMS}"], capture_output=True, text=True, check=False)
    return shown.returncode == 0 and shown.stdout == text


def is_part(text: str, study: str) -> bool:
    """Return whether a text is a study or its part of some runs."""
    if text == study:
        return True
    try:
        return text == dump(with_runs(parse(study, PARAMS), parse(text, PARAMS)["runs"]))
    except (KeyError, TypeError, ValueError):
        return False


if __name__ == "__main__":
    main()
