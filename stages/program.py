"""What every stage is as a program: its arguments, progress, errors, and a result that is whole or absent."""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tqdm import tqdm

from stages import study
from stages.study import Study

if TYPE_CHECKING:
    import torch

RESULTS = Path("results")
SCRATCH = Path("scratch")

Item = TypeVar("Item")


INTERRUPTED = 75
"""The exit code of a stage that was told to stop and asks to be started again (EX_TEMPFAIL of sysexits.h)."""


class Interrupted(Exception):
    """What ends a stage that was told to stop and has kept what it did."""


class Failure(Exception):
    """What stops a stage: one clear message that names the key, file or value, and what is allowed."""


def result(kind: str, key: str = "") -> Path:
    """The one directory that a stage writes."""
    return RESULTS / kind / key


def scratch(kind: str, key: str = "") -> Path:
    """Where a stage keeps what is not finished yet, and what must outlive a kill."""
    return SCRATCH / kind / key


def run(stage: Callable[[Study, str, Path], None], keys: str) -> None:
    """Run `stage(study, key, directory)` as a program; what it leaves in the directory becomes its result.

    Args:
        stage: the work; its name is the kind of the stage, its module's docstring the help.
        keys: the section of the study whose entries are the stage's keys, or "" for a stage without keys.
    """
    kind = stage.__name__
    parser = argparse.ArgumentParser(
        f"python -m stages.{kind}",
        description=sys.modules["__main__"].__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if keys:
        parser.add_argument("key", help=f"an entry of `{keys}` in params.yaml")
    arguments = parser.parse_args()
    key = arguments.key if keys else ""
    try:
        plan = study.load()
        allowed = getattr(plan, keys) if keys else [""]
        if key not in allowed:
            raise Failure(f"{keys}: params.yaml has no {key}; there are: {', '.join(allowed)}")
        with whole(kind, key) if leads() else thrown_away() as directory:
            stage(plan, key, directory)
    except Interrupted as error:
        if leads():
            mark(kind, key).touch()
            print(f"stages.{kind} {key}: {error}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except (Failure, ValueError, OSError) as error:
        sys.exit(f"stages.{kind} {key}: error: {error}")


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
    title = " ".join(filter(None, (Path(sys.argv[0]).stem, *sys.argv[1:2], what)))
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


def write_metrics(directory: Path, metrics: Mapping[str, float | None]) -> None:
    """Write the flat `metrics.json` of a stage; accuracies are in per cent."""
    (directory / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")


def device() -> "torch.device":
    """The accelerator that is there (of several, this process's own), else the processor."""
    import torch

    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
