"""Work shared by all cores, by one process at a time."""

import ctypes
import fcntl
import gc
import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from stages.program import Failure

Result = TypeVar("Result")

PR_SET_PDEATHSIG = 1


def each(work: Callable[[int], Result], numbers: range, processes: int) -> Iterator[Result]:
    """What the work gives for each number, in their order; what it raises stops what has not begun.

    Processes are forked, so that the work, with all that it holds, is in each without being sent.

    Raises:
        Failure: one of the processes was killed.
    """
    if (processes := min(processes, len(numbers))) <= 1:
        yield from map(work, numbers)
        return
    fork, begun = multiprocessing.get_context("fork"), (work, os.getpid())
    with ProcessPoolExecutor(processes, fork, _begin, begun) as pool:
        with warnings.catch_warnings():
            # The other threads are those of numpy, which knows how to be forked.
            warnings.filterwarnings("ignore", r".*multi-threaded, use of fork\(\)", DeprecationWarning)
            results = pool.map(_do, numbers)
        try:
            yield from results
        except BrokenProcessPool as error:
            raise Failure("one of the processes that pack was killed; is there memory enough?") from error


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """Hold a lock, which a process that dies gives back.

    Raises:
        Failure: another process holds it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Failure(f"{file}: another process is at work here; wait for it, or stop it") from error
        yield


def _begin(work: Callable, parent: int) -> None:
    """Make a new process ready: it dies with its parent, and leaves what it shares with it unchanged."""
    global _work
    _work = work
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    gc.freeze()  # a collection would write into, and so copy, all memory that is shared


def _do(number: int):
    return _work(number)


_work: Callable
