"""Run a stage as a program: arguments, error messages, exit codes and an atomic result."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from whole_in_parts.config.evaluations import NOT_ASKED
from whole_in_parts.config.study import PARAMS, Study, load_study
from whole_in_parts.distributed.environment import is_rank_zero
from whole_in_parts.failure import Failure
from whole_in_parts.metrics import write_metrics
from whole_in_parts.process import end_with_parent, exclusive
from whole_in_parts.progress import name_program
from whole_in_parts.results import (
    atomic_output_dir,
    discarded_output_dir,
    interrupted_mark,
    result_dir,
    scratch_dir,
)
from whole_in_parts.training.interruption import Interrupted
from workflow.provenance import record
from workflow.provenance.options import KINDS, keys, read_by

INTERRUPTED = 75
"""The exit code of a stage that was interrupted and can be started again (EX_TEMPFAIL of sysexits.h)."""


def run(stage: Callable[[Study, str, Path], None], printed: Callable[[Study, str], str] | None = None) -> None:
    """Run `stage(study, key, directory)` as a program; the files that it writes to the directory become its result.

    The stage gets the part of the study that its kind reads (`workflow/provenance/options.py`). The name of the
    function is the kind, and the docstring of its module is the help. A function `printed(study, key)` is an option of
    its name, such as `--propose`, which prints its text and leaves the result as it is. A stage without keys has an
    option `--study`, a folder with another params.yaml and its results.
    """
    kind = stage.__name__
    arguments = parse_arguments(kind, printed.__name__ if printed else None)
    key = arguments.key
    enter(arguments.study)
    name_program(f"{kind} {key}".strip())
    end_with_engine()

    try:
        study = read_study(kind, key)
        if printed and arguments.printed:
            print(printed(study, key))
        elif is_rank_zero():
            with exclusive(scratch_dir("lock") / kind / (key or kind)), atomic_output_dir(kind, key) as directory:
                (stage if asked(study, kind, key) else write_nothing)(study, key, directory)
        else:
            with discarded_output_dir() as directory:
                stage(study, key, directory)
    except Interrupted as error:
        if is_rank_zero():
            interrupted_mark(kind, key).touch()
            print(f"stages.{kind} {key}: {error}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except (Failure, ValueError, OSError) as error:
        sys.exit(f"stages.{kind} {key}: error: {error}")


def asked(study: Study, kind: str, key: str) -> bool:
    """Return whether the study asks for what a stage does; an evaluation has a stage for each run, asked or not."""
    return kind not in NOT_ASKED or getattr(study, kind).asks(key)


def write_nothing(study: Study, key: str, directory: Path) -> None:
    """Write the result of an evaluation that is not asked for: no metrics."""
    write_metrics(directory, {})


def parse_arguments(kind: str, printed: str | None = None) -> argparse.Namespace:
    """Return the key, and whether the option called `printed` is given.

    The key is that of the command line, or of `DVC_STAGE` of the environment, which DVC sets to `KIND@KEY`.
    The commands in `dvc.yaml` omit the key, since they run in a shell, which no string of a study should reach.
    """
    section = KINDS[kind].section if kind in KINDS else ""
    parser = argparse.ArgumentParser(
        f"python -m stages.{kind}",
        description=sys.modules["__main__"].__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(key="", study=Path())
    if not section:
        parser.add_argument("--study", type=Path, metavar="FOLDER", help="a folder with params.yaml and results/")
        return parser.parse_args()

    default = dvc_key(kind)
    parser.add_argument(
        "key", nargs="?" if default else None, default=default, help=f"an entry of `{section}` in params.yaml"
    )
    if printed:
        parser.add_argument(f"--{printed}", action="store_true", dest="printed", help="print it and write nothing")
    return parser.parse_args()


def enter(folder: Path) -> None:
    """Work on the study in another folder, which has the params.yaml and the results.

    Raises:
        SystemExit: the folder has no params.yaml.
    """
    if folder == Path():
        return
    if not (folder / PARAMS).exists():
        sys.exit(f"--study: {folder / PARAMS} does not exist; name a folder with params.yaml and results/")
    os.chdir(folder)


def end_with_engine() -> None:
    """End with DVC if DVC started this process, so that a new build does not meet a stage of the killed one."""
    if "DVC_STAGE" in os.environ:
        end_with_parent(signal.SIGTERM)


def dvc_key(kind: str) -> str:
    """Return the key of `DVC_STAGE` if DVC runs a stage of this kind, else an empty string."""
    stage, _, key = os.environ.get("DVC_STAGE", "").partition("@")
    return key if stage == kind else ""


def read_study(kind: str, key: str) -> Study:
    """Load the part of params.yaml that a stage reads.

    Raises:
        ValueError: the study is not valid.
        Failure: the study has no such key, or differs from the record under which DVC runs the stage.
    """
    study = load_study()
    if kind not in KINDS:
        return study
    if key not in keys(study, kind):
        allowed = ", ".join(keys(study, kind))
        raise Failure(f"{KINDS[kind].section}: params.yaml has no {key}; there are: {allowed}")

    recorded = result_dir("resolve") / record.path(kind, key)
    current = record.text(record.record(study, kind, key))
    if "DVC_STAGE" in os.environ and recorded.read_text(encoding="utf-8") != current:
        raise Failure(f"{recorded}: options or code were edited since it was written; run the same command again")
    return read_by(study, kind, key)
