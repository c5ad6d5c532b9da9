"""Hold DVC's locks, on the project and on paths, with a bounded time of waiting for other processes."""

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from dvc.lock import LockBase, LockError
from dvc.repo import Repo

PATIENCE_SECONDS = 120.0
"""How long to wait for another process; a stage does not hold the lock on the project while it computes."""

BUSY = re.compile(r"'(?P<path>.+)' is busy.*?\(PID (?P<process>\d+)\): (?P<command>[^\n]*)", re.DOTALL)
"""What DVC says of a path that another process reads or writes."""

Result = TypeVar("Result")


def when_free(action: Callable[[], Result], patience: float = PATIENCE_SECONDS) -> Result:
    """Call a function that locks paths, and again as long as another process is at work on one of them.

    Raises:
        LockError: it still was after `patience` seconds; the message names the process and the path.
    """
    started = time.monotonic()
    reported = False
    while True:
        try:
            return action()
        except LockError as error:
            if not BUSY.search(str(error)) or time.monotonic() - started > patience:
                raise LockError(holder(error)) from None
            if not reported:
                print(holder(error), file=sys.stderr, flush=True)
                reported = True
        time.sleep(1)


def holder(error: LockError) -> str:
    """Return one line that names the process which holds a lock, and what it is at."""
    busy = BUSY.search(str(error))
    if not busy:
        return " ".join(str(error).split())
    return f"{busy['path']}: process {busy['process']} ({busy['command']}) is at work on it; wait for it, or stop it"


@contextmanager
def locked(repo: Repo, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Hold DVC's lock on a project.

    Raises:
        LockError: another process has held it for `patience` seconds; the message names it.
    """
    _remove_damaged_rwlock(repo)
    _make_patient(repo.lock, patience)
    with repo.lock:
        yield


def _make_patient(lock: LockBase, patience: float) -> None:
    """Make every acquisition of a lock wait for other processes, and report the process that holds it."""
    acquire = lock.lock

    def acquire_patiently() -> None:
        started = time.monotonic()
        reported = False
        while True:
            try:
                return acquire()  # DVC itself retries for a few seconds
            except LockError:
                path = Path(lock.lockfile)
                holder = path.read_text().strip() or "unknown"
                if time.monotonic() - started > patience:
                    raise LockError(f"{path}: held by DVC's process {holder}; wait for it, or stop it") from None
                if not reported:
                    print(f"{path}: waiting for DVC's process {holder}", file=sys.stderr, flush=True)
                    reported = True

    lock.lock = acquire_patiently


def _remove_damaged_rwlock(repo: Repo) -> None:
    """Remove DVC's list of paths in use if a kill has truncated it, since DVC refuses to run with a damaged list."""
    file = Path(repo.tmp_dir or "") / "rwlock"
    try:
        json.loads(file.read_text())
    except FileNotFoundError:
        return
    except ValueError:
        time.sleep(1)  # another process may be writing the file now
        try:
            json.loads(file.read_text())
        except FileNotFoundError:
            return
        except ValueError:
            print(f"{file}: damaged by a kill, and removed", file=sys.stderr, flush=True)
            file.unlink(missing_ok=True)
