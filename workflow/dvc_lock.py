"""DVC's lock on the project, held for as short a time as possible and waited for no longer than is bearable."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dvc.lock import LockBase, LockError
from dvc.repo import Repo

PATIENCE_SECONDS = 120.0
"""How long to wait for a process that holds the lock; a stage does not hold it while it computes."""


@contextmanager
def locked(repo: Repo, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Hold the lock of a project.

    Raises:
        LockError: another process has held it for `patience` seconds; the message names it.
    """
    _mend_rwlock(repo)
    _wait_for_it(repo.lock, patience)
    with repo.lock:
        yield


def _wait_for_it(lock: LockBase, patience: float) -> None:
    """Let a lock wait for other processes, and say for which one, each time that it is taken."""
    take = lock.lock

    def take_patiently() -> None:
        begun = time.monotonic()
        told = False
        while True:
            try:
                return take()
            except LockError:
                holder = Path(lock.lockfile).read_text().strip() or "unknown"
                place = Path(lock.lockfile)
                if time.monotonic() - begun > patience:
                    raise LockError(f"{place}: held by DVC's process {holder}; wait for it, or stop it") from None
                if not told:
                    print(f"{place}: waiting for DVC's process {holder}", file=sys.stderr, flush=True)
                    told = True

    lock.lock = take_patiently


def _mend_rwlock(repo: Repo) -> None:
    """Remove DVC's list of what is being read and written if a kill has left half of it: DVC would stop for good."""
    file = Path(repo.tmp_dir or "") / "rwlock"
    try:
        json.loads(file.read_text())
    except FileNotFoundError:
        return
    except ValueError:
        time.sleep(1)  # another process may be writing it just now
        try:
            json.loads(file.read_text())
        except FileNotFoundError:
            return
        except ValueError:
            print(f"{file}: damaged by a kill, and removed", file=sys.stderr, flush=True)
            file.unlink(missing_ok=True)
