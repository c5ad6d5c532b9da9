"""Parallel work in forked processes."""

import gc
import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from whole_in_parts.failure import Failure
from whole_in_parts.process import end_with_parent

Result = TypeVar("Result")


def map_in_processes(work: Callable[[int], Result], indices: range, processes: int) -> Iterator[Result]:
    """Yield `work(index)` for each index, in order; an exception cancels the work that has not started.

    Processes are forked, so that `work` and all data it refers to need not be pickled.

    Raises:
        Failure: one of the processes was killed.
    """
    if (processes := min(processes, len(indices))) <= 1:
        yield from map(work, indices)
        return

    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, fork, _initialise, (work, os.getpid())) as pool:
        with warnings.catch_warnings():
            # The only other threads are numpy's, which are safe to fork.
            warnings.filterwarnings("ignore", r".*multi-threaded, use of fork\(\)", DeprecationWarning)
            results = pool.map(_run, indices)
        try:
            yield from results
        except BrokenProcessPool as error:
            raise Failure("one of the processes that pack was killed; is there enough memory?") from error


def _initialise(work: Callable[[int], object], parent: int) -> None:
    """Prepare a new process: it is killed when its parent ends, and it does not copy the shared memory."""
    global _work
    _work = work
    end_with_parent(signal.SIGKILL)
    if os.getppid() != parent:  # the parent ended before the call above
        os._exit(1)
    gc.freeze()  # a garbage collection would write to, and so copy, all shared memory


def _run(index: int) -> Any:
    return _work(index)


_work: Callable[[int], Any]
