"""Join the process group of a training, and name the rank that failed.

Every collective ends in bounded time: after `timeout()` without an answer, or at once if a connection breaks. Then
every remaining process marks itself alive in the store of the rendezvous and, after a moment, names the ranks without
a mark.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta

import torch
import torch.distributed as dist

from whole_in_parts.distributed import unix_sockets
from whole_in_parts.distributed.collectives import gather, gather_objects, rank
from whole_in_parts.environment import float_from_environment, int_from_environment
from whole_in_parts.failure import Failure, first_line

ALIVE_SECONDS = 2.0
"""The time in which running processes mark themselves alive."""

STORE_SECONDS = 5 * ALIVE_SECONDS
"""The time after which a store that has not answered counts as unreachable."""


def timeout() -> timedelta:
    """Return how long to wait for a process: `RANK_TIMEOUT_SECONDS` of the environment, or 5 minutes."""
    return timedelta(seconds=float_from_environment("RANK_TIMEOUT_SECONDS", 300.0, 0.1))


@contextmanager
def group(device: torch.device) -> Iterator[None]:
    """Join the process group that torchrun's environment describes; a single process does nothing.

    Raises:
        Failure: a process failed, died or does not answer; the message names its rank.
    """
    if int_from_environment("WORLD_SIZE", 1, 1) == 1:
        yield
        return

    store, number, count = rendezvous()
    status = dist.PrefixStore("status", store)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(
        backend, store=dist.PrefixStore("group", store), rank=number, world_size=count, timeout=timeout()
    )
    try:
        with connect_sockets(store, device):
            yield
    except (Failure, ValueError, OSError) as error:
        # An error of this process: publish it, so that the other ranks report the cause and not the broken connection.
        status.set(f"failed/{number}", f"rank {number} on {socket.gethostname()}: {error}")
        raise Failure(f"rank {number}: {error}") from error
    except RuntimeError as error:
        # A collective failed, so probably another process did.
        raise Failure(diagnose_failure(status, number, count, error)) from error
    dist.destroy_process_group()


def rendezvous() -> tuple[dist.Store, int, int]:
    """Meet the other processes; return the store that all share, the rank and the number of processes.

    Raises:
        Failure: the address is in use by another program, or nobody answers there before the timeout.
    """
    # A program that accepts the connection and says nothing blocks torch for ever, so a thread asks it.
    met: Future[tuple[dist.Store, int, int]] = Future()
    threading.Thread(target=meet, args=[met], daemon=True).start()
    try:
        return met.result(timeout().total_seconds() + ALIVE_SECONDS)
    except (RuntimeError, ValueError, TimeoutError) as error:
        address = f"{os.environ.get('MASTER_ADDR', '')}:{os.environ.get('MASTER_PORT', '')}"
        raise Failure(
            f"rank {os.environ.get('RANK', '?')}: no rendezvous at MASTER_ADDR:MASTER_PORT, {address} "
            f"({first_line(error)}); set them to the first node and a free port, the same for all ranks"
        ) from error


def meet(met: Future[tuple[dist.Store, int, int]]) -> None:
    """Meet the other processes; set the store, the rank and the number of processes, or the error."""
    try:
        met.set_result(next(dist.rendezvous("env://", timeout=timeout())))
    except Exception as error:
        met.set_exception(error)


def connect_sockets(store: dist.Store, device: torch.device) -> AbstractContextManager[None]:
    """Connect all processes by Unix sockets, if they train on CPUs and torchrun runs all of them on this host."""
    if device.type != "cpu" or os.environ.get("LOCAL_WORLD_SIZE") != os.environ["WORLD_SIZE"]:
        return nullcontext()
    return unix_sockets.connect(dist.PrefixStore("sockets", store), timeout().total_seconds())


def diagnose_failure(status: dist.Store, number: int, count: int, error: RuntimeError) -> str:
    """Describe why a collective failed, by the marks in the store; an unreachable store means a lost network."""
    # A store that is cut off blocks its caller, so a thread asks it and may be left behind.
    messages: list[str] = []
    polling = threading.Thread(target=lambda: messages.append(poll_ranks(status, number, count, error)), daemon=True)
    polling.start()
    polling.join(STORE_SECONDS)
    return messages[0] if messages else f"rank {number} is cut off from the rendezvous host ({first_line(error)})"


def poll_ranks(status: dist.Store, number: int, count: int, error: RuntimeError) -> str:
    """Return the error that another rank published, or name the ranks that are not alive."""
    status.set(f"alive/{number}", "")
    time.sleep(ALIVE_SECONDS)
    peers = [peer for peer in range(count) if peer != number]
    failures = [status.get(f"failed/{peer}").decode() for peer in peers if status.check([f"failed/{peer}"])]
    missing = [str(peer) for peer in peers if not status.check([f"alive/{peer}"])]

    if failures:
        return failures[0]
    if missing:
        return f"rank {', '.join(missing)} is dead, stuck or cut off ({first_line(error)})"
    return f"the connection between processes broke ({first_line(error)})"


def any_process(flag: bool) -> bool:
    """Return whether the flag is set in any process; a collective, so all processes must call it at the same step."""
    return bool(gather(torch.tensor([flag])).any())


def assert_same_config(config: dict[str, str]) -> None:
    """Check that all processes have the same parameters, data and code; a collective.

    Raises:
        Failure: two processes differ; raised in all processes.
    """
    for peer, peer_config in enumerate(gather_objects(config)):
        keys = config.keys() | peer_config.keys()
        if differing := [key for key in keys if config.get(key) != peer_config.get(key)]:
            raise Failure(
                f"rank {peer} differs from rank {rank()} in {', '.join(sorted(differing)[:3])}: all nodes need the "
                "same params.yaml, code and data"
            )
