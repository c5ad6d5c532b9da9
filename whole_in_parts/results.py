"""Where results are, and how a result comes to be whole or absent.

A stage writes one directory, `results/KIND/KEY/`; what is unfinished, and what must outlive a kill, is in `scratch/`.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RESULTS = Path("results")
SCRATCH = Path("scratch")


def result_dir(kind: str, key: str = "") -> Path:
    """The one directory that a stage writes."""
    return RESULTS / kind / key


def scratch_dir(kind: str, key: str = "") -> Path:
    """The directory for a stage's unfinished work and for its checkpoints."""
    return SCRATCH / kind / key


def interrupted_mark(kind: str, key: str) -> Path:
    """The file that says that the stage was interrupted."""
    return scratch_dir(kind, key) / "interrupted"


@contextmanager
def atomic_output_dir(kind: str, key: str) -> Iterator[Path]:
    """A new directory that is renamed into `results/` once everything in it is written.

    An exception leaves the earlier result, if there is one, as it was.
    """
    unfinished = scratch_dir(kind, key) / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    interrupted_mark(kind, key).unlink(missing_ok=True)
    yield unfinished

    final = result_dir(kind, key)
    shutil.rmtree(final, ignore_errors=True)
    final.parent.mkdir(parents=True, exist_ok=True)
    unfinished.replace(final)
    shutil.rmtree(scratch_dir(kind, key))


@contextmanager
def discarded_output_dir() -> Iterator[Path]:
    """A temporary directory for the output of processes other than rank zero, whose results nobody keeps."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
