"""Check that the run with whose weights a training begins is built, from the study and the code as they are.

`dvc.yaml` cannot say of one run that it depends on another. So the record of a run includes what the runs that it
begins with read and run, Snakemake gets the dependency from the study, DVC builds runs in the order of params.yaml, and
this check refuses a training whose start is not up to date.
"""

import hashlib
import os
from pathlib import Path

from whole_in_parts.failure import Failure
from whole_in_parts.results import result_dir
from workflow.provenance import record


def check_start(start: str | None, run: str) -> None:
    """Check that there is the result of the run `start`, and where DVC runs this stage, that it is up to date.

    Raises:
        Failure: it is missing, or it was built from other options or code.
    """
    if not start:
        return
    advice = f"build it first: dvc repro pretrain@{start}"
    if not (result_dir("pretrain", start) / "model").exists():
        raise Failure(f"runs.{run}.start: {start} is not built yet; {advice}")
    if "DVC_STAGE" in os.environ and recorded(start) != current(start):
        raise Failure(f"runs.{run}.start: {start} was built from other options or code than the present ones; {advice}")


def recorded(run: str) -> str | None:
    """Return the md5 of the record under which dvc.lock has the result of a run; None if it has none."""
    from workflow import lockfile  # DVC's parser, which only a run with a start needs

    deps = lockfile.read(f"pretrain@{run}").get("deps", [])
    return next((dep["md5"] for dep in deps if dep["path"] == str(_record(run))), None)


def current(run: str) -> str:
    """Return the md5 of the present record of a run."""
    return hashlib.md5(_record(run).read_bytes(), usedforsecurity=False).hexdigest()


def _record(run: str) -> Path:
    return result_dir("resolve") / record.path("pretrain", run)
