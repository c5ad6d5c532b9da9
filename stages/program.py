"""What every stage is as a program: its arguments, progress, errors, and a result that is whole or absent."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tqdm import tqdm

from stages.failure import Failure
from stages.process import alone, end_with_parent
from stages.provenance import record
from stages.provenance.options import KINDS, keys, read_by
from stages.study import Study, load

if TYPE_CHECKING:
    import torch

RESULTS = Path("results")
SCRATCH = Path("scratch")

Item = TypeVar("Item")

INTERRUPTED = 75
"""The exit code of a stage that was told to stop and asks to be started again (EX_TEMPFAIL of sysexits.h)."""


class Interrupted(Exception):
    """What ends a stage that was told to stop and has kept what it did."""


def result(kind: str, key: str = "") -> Path:
    """The one directory that a stage writes."""
    return RESULTS / kind / key


def scratch(kind: str, key: str = "") -> Path:
    """Where a stage keeps what is not finished yet, and what must outlive a kill."""
    return SCRATCH / kind / key


def run(stage: Callable[[Study, str, Path], None]) -> None:
    """Run `stage(study, key, directory)` as a program; what it leaves in the directory becomes its result.

    The stage gets the part of the study that its kind reads (`stages/provenance/options.py`). Its name is its kind, and
    the docstring of its module the help.
    """
    kind = stage.__name__
    key = asked_key(kind)
    end_with_engine()
    try:
        study = read_study(kind, key)
        if leads():
            with alone(scratch("lock") / kind / (key or kind)), whole(kind, key) as directory:
                stage(study, key, directory)
        else:
            with thrown_away() as directory:
                stage(study, key, directory)
    except Interrupted as error:
        if leads():
            mark(kind, key).touch()
            print(f"stages.{kind} {key}: {error}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except (Failure, ValueError, OSError) as error:
        sys.exit(f"stages.{kind} {key}: error: {error}")


def asked_key(kind: str) -> str:
    """The key that the command line names, or `DVC_STAGE` of the environment, which DVC sets to `KIND@KEY`.

    `dvc.yaml` leaves the key out of its commands: they go through a shell, which no word of a study should reach.
    """
    section = KINDS[kind].section if kind in KINDS else ""
    parser = argparse.ArgumentParser(
        f"python -m stages.{kind}",
        description=sys.modules["__main__"].__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if not section:
        parser.parse_args()
        return ""
    given = dvc_key(kind)
    parser.add_argument(
        "key", nargs="?" if given else None, default=given, help=f"an entry of `{section}` in params.yaml"
    )
    return parser.parse_args().key


def end_with_engine() -> None:
    """Where DVC started this process, end when DVC is killed: what is started anew would meet it at the same work."""
    if "DVC_STAGE" in os.environ:
        end_with_parent(signal.SIGTERM)


def dvc_key(kind: str) -> str:
    """The key by which DVC runs a stage of this kind, or nothing."""
    stage, _, key = os.environ.get("DVC_STAGE", "").partition("@")
    return key if stage == kind else ""


def read_study(kind: str, key: str) -> Study:
    """The part of params.yaml that a stage reads.

    Raises:
        ValueError: the study is not valid.
        Failure: it has no such key, or it is no longer what the record says by which DVC runs the stage.
    """
    study = load()
    if kind not in KINDS:
        return study
    if key not in keys(study, kind):
        allowed = ", ".join(keys(study, kind))
        raise Failure(f"{KINDS[kind].section}: params.yaml has no {key}; there are: {allowed}")
    recorded = result("resolve") / record.path(kind, key)
    current = record.text(record.record(study, kind, key))
    if "DVC_STAGE" in os.environ and recorded.read_text(encoding="utf-8") != current:
        raise Failure(f"{recorded}: options or code were edited since it was written; run the same command again")
    return read_by(study, kind, key)


def leads() -> bool:
    """Whether this is the only process of the stage, or the first: the one that writes its result."""
    return os.environ.get("RANK", "0") == "0"


def mark(kind: str, key: str) -> Path:
    """The file that says that the stage was interrupted."""
    return scratch(kind, key) / "interrupted"


@contextmanager
def thrown_away() -> Iterator[Path]:
    """A folder for what a process writes that does not lead."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@contextmanager
def whole(kind: str, key: str) -> Iterator[Path]:
    """A new directory that takes its place in `results/` when all is written, and never before."""
    unfinished = scratch(kind, key) / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    mark(kind, key).unlink(missing_ok=True)
    yield unfinished
    final = result(kind, key)
    shutil.rmtree(final, ignore_errors=True)
    final.parent.mkdir(parents=True, exist_ok=True)
    unfinished.replace(final)
    shutil.rmtree(scratch(kind, key))


def progress(items: Iterable[Item], what: str, **options) -> "tqdm[Item]":
    """A progress bar over `items`; in a log, a line every ten seconds in place of a bar that moves."""
    kind = Path(sys.argv[0]).stem
    title = " ".join(filter(None, (kind, *(sys.argv[1:2] or [dvc_key(kind)]), what)))
    if not leads():
        return tqdm(items, disable=True)
    if sys.stderr.isatty():
        return tqdm(items, title, **options)
    return tqdm(items, title, file=_Lines(), mininterval=10, ascii=True, ncols=110, **options)


class _Lines:
    """Standard error for a progress bar that nobody watches: every state of the bar on a line of its own."""

    def write(self, text: str) -> None:
        if text.strip():
            sys.stderr.write(text.strip("\r\n") + "\n")

    def flush(self) -> None:
        sys.stderr.flush()


def device() -> "torch.device":
    """The accelerator that is there (of several, this process's own), else the processor."""
    import torch

    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
