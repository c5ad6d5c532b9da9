"""The directories of results, and atomic writes: a result is complete or absent.

A stage writes one directory, `results/KIND/KEY/`; unfinished files and checkpoints are in `scratch/`.
"""

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from whole_in_parts.failure import Failure

RESULTS = Path("results")
SCRATCH = Path("scratch")


def result_dir(kind: str, key: str = "") -> Path:
    """Return the directory that a stage writes."""
    return RESULTS / kind / key


def scratch_dir(kind: str, key: str = "") -> Path:
    """Return the directory for the unfinished output of a stage and for its checkpoints."""
    return SCRATCH / kind / key


def interrupted_mark(kind: str, key: str) -> Path:
    """Return the file that marks a stage as interrupted."""
    return scratch_dir(kind, key) / "interrupted"


@contextmanager
def atomic_output_dir(kind: str, key: str) -> Iterator[Path]:
    """Give a new directory, and rename it into `results/` when the block ends without an exception.

    An exception leaves the previous result unchanged.

    Raises:
        Failure: a directory cannot be renamed from `scratch/` into `results/`.
    """
    unfinished = scratch_dir(kind, key) / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    check_renaming(unfinished.parent, result_dir(kind, key).parent)
    interrupted_mark(kind, key).unlink(missing_ok=True)
    yield unfinished

    final = result_dir(kind, key)
    shutil.rmtree(final, ignore_errors=True)
    final.parent.mkdir(parents=True, exist_ok=True)
    unfinished.replace(final)
    shutil.rmtree(scratch_dir(kind, key))


def check_renaming(source: Path, target: Path) -> None:
    """Check that a directory can be renamed from one folder into another, which may not exist yet, by doing so with an
    empty one.

    Raises:
        Failure: the folders are on two file systems, or one cannot be written.
    """
    target = next(folder for folder in (target, *target.parents) if folder.exists())
    tried = Path(tempfile.mkdtemp(prefix=".tried-", dir=source))
    try:
        tried.rename(target / tried.name).rmdir()
    except OSError as error:
        tried.rmdir()
        if error.errno == errno.EXDEV:
            raise Failure(
                f"{target}: not on the file system of {SCRATCH}, from where a result is renamed; make {SCRATCH} a link "
                f"to a folder beside {RESULTS}"
            ) from error
        raise Failure(f"{target}: a result cannot be put there ({error.strerror})") from error


@contextmanager
def discarded_output_dir() -> Iterator[Path]:
    """Give a temporary directory, which is removed afterwards, for the output of ranks other than zero."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
