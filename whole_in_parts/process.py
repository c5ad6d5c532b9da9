"""Keep a stage from running twice at once, and end it with its parent process."""

import ctypes
import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from whole_in_parts.failure import Failure

PATIENCE_SECONDS = 60.0
"""How long to wait for another process, such as one that is ending since its parent was killed."""

PR_SET_PDEATHSIG = 1


def end_with_parent(number: signal.Signals) -> None:
    """Have the kernel send this process a signal when its parent dies; on Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


@contextmanager
def exclusive(file: Path, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Hold a lock file, which the kernel releases if the process dies.

    Raises:
        Failure: another process has held the lock for `patience` seconds.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as stream:
        _acquire(file, stream, patience)
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()}")
        stream.flush()
        yield


def _acquire(file: Path, stream: IO[str], patience: float) -> None:
    """Acquire the lock; report once that another process holds it."""
    started = time.monotonic()
    reported = False
    while not _try_lock(stream):
        stream.seek(0)
        holder = stream.read() or "another process"
        if time.monotonic() - started > patience:
            raise Failure(f"{file}: {holder} is running this stage; wait for it, or stop it")
        if not reported:
            print(f"{file}: waiting for {holder}, which is running this stage", file=sys.stderr, flush=True)
            reported = True
        time.sleep(0.1)


def _try_lock(stream: IO[str]) -> bool:
    """Acquire the lock if it is free, and return whether it was."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
