"""Validate the study and write a record of every other stage: `results/resolve/<kind>/<key>.json`.

A record holds the options that a stage reads, including defaults that params.yaml leaves out, and the hash of each code
file that it runs. Every stage depends on its own record, so it is stale if and only if one of these changes.

`results/transfer/.entries` and `results/analyse/.entries` name the entries of these sections, which may be empty: the
report depends on both folders, and so they exist whatever is in them.
"""

import sys
from pathlib import Path

from whole_in_parts.config.recipes import redundant_overrides
from whole_in_parts.config.study import PARAMS, Study
from whole_in_parts.results import result_dir
from workflow import program
from workflow.provenance.record import records

ENTRIES = ".entries"


def resolve(study: Study, key: str, directory: Path) -> None:
    """Write the records of all stages; print a warning if runs no longer inherit from a recipe."""
    if warning := redundant_overrides(PARAMS):
        print(warning, file=sys.stderr)
    for path, text in records(study):
        file = directory / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    for kind in ("transfer", "analyse"):
        file = result_dir(kind) / ENTRIES
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{name}\n" for name in getattr(study, kind)), encoding="utf-8")


if __name__ == "__main__":
    program.run(resolve)
