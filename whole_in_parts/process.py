"""What a stage is among other processes: alone at its work, and at an end when its parent is."""

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
"""How long to wait for another process, such as one whose parent was killed and which ends, too."""

PR_SET_PDEATHSIG = 1


def end_with_parent(number: signal.Signals) -> None:
    """Let the kernel send this process a signal when its parent dies; only Linux can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


@contextmanager
def exclusive(file: Path, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Hold a lock, which a process that dies gives back; wait for another process that holds it, but not for long.

    Raises:
        Failure: another process has held it for `patience` seconds.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as stream:
        _wait(file, stream, patience)
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()}")
        stream.flush()
        yield


def _wait(file: Path, stream: IO[str], patience: float) -> None:
    begun = time.monotonic()
    told = False
    while not _locked(stream):
        stream.seek(0)
        holder = stream.read() or "another process"
        if time.monotonic() - begun > patience:
            raise Failure(f"{file}: {holder} is at work here; wait for it, or stop it")
        if not told:
            print(f"{file}: waiting for {holder}, which is at work here", file=sys.stderr, flush=True)
            told = True
        time.sleep(0.1)


def _locked(stream: IO[str]) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
