"""Work that is shared, and what a process that dies does to it."""

import os
import signal

import pytest

from whole_in_parts.data.packing.processes import map_in_processes
from whole_in_parts.failure import Failure


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_the_results_are_in_the_order_of_the_numbers(processes):
    assert list(map_in_processes(lambda number: number * number, range(7), processes)) == [0, 1, 4, 9, 16, 25, 36]


def test_two_processes_work_beside_this_one():
    assert os.getpid() not in set(map_in_processes(lambda number: os.getpid(), range(4), 2))


@pytest.mark.parametrize("processes", [1, 2])
def test_what_the_work_raises_reaches_the_caller(processes):
    def work(number):
        raise Failure(f"the shard {number}")

    with pytest.raises(Failure, match="the shard 0"):
        list(map_in_processes(work, range(4), processes))


def test_a_process_that_is_killed_is_a_failure():
    with pytest.raises(Failure, match="one of the processes that pack was killed"):
        list(map_in_processes(lambda number: os.kill(os.getpid(), signal.SIGKILL), range(4), 2))
