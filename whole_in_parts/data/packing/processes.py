"""Work shared by all cores."""

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


def each(work: Callable[[int], Result], indices: range, processes: int) -> Iterator[Result]:
    """What the work gives for each number, in their order; what it raises stops what has not begun.

    Processes are forked, so that the work, with all that it holds, is in each without being sent.

    Raises:
        Failure: one of the processes was killed.
    """
    if (processes := min(processes, len(indices))) <= 1:
        yield from map(work, indices)
        return
    fork, begun = multiprocessing.get_context("fork"), (work, os.getpid())
    with ProcessPoolExecutor(processes, fork, _begin, begun) as pool:
        with warnings.catch_warnings():
            # The other threads are those of numpy, which knows how to be forked.
            warnings.filterwarnings("ignore", r".*multi-threaded, use of fork\(\)", DeprecationWarning)
            results = pool.map(_do, indices)
        try:
            yield from results
        except BrokenProcessPool as error:
            raise Failure("one of the processes that pack was killed; is there memory enough?") from error


def _begin(work: Callable[[int], object], parent: int) -> None:
    """Make a new process ready: it dies with its parent, and leaves what it shares with it unchanged."""
    global _work
    _work = work
    end_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    gc.freeze()  # a collection would write into, and so copy, all memory that is shared


def _do(number: int) -> Any:
    return _work(number)


_work: Callable[[int], Any]
