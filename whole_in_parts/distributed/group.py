"""Meeting the other processes of a training, and noticing that one of them is gone.

Every collective ends in bounded time: after `timeout()` without an answer, or at once if a connection breaks. Then
each process that is left says so in the store that all were started with, and after a moment names those that did not.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta

import torch
import torch.distributed as dist

from whole_in_parts.distributed import unix_sockets
from whole_in_parts.distributed.collectives import gather, gather_objects, rank
from whole_in_parts.failure import Failure

MOMENT = 2.0
"""Seconds in which processes that live can say so."""

PATIENCE = 5 * MOMENT
"""Seconds in which a store that can be reached has answered."""


def timeout() -> timedelta:
    """How long to wait for a process that does not answer: `RANK_TIMEOUT_SECONDS` of the environment, or 5 minutes."""
    return timedelta(seconds=float(os.environ.get("RANK_TIMEOUT_SECONDS", "300")))


@contextmanager
def group(device: torch.device) -> Iterator[None]:
    """Work with the other processes that torchrun has started, if there are any.

    Raises:
        Failure: one of them failed, died or does not answer.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    store, number, count = next(dist.rendezvous("env://", timeout=timeout()))
    words = dist.PrefixStore("words", store)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(
        backend, store=dist.PrefixStore("group", store), rank=number, world_size=count, timeout=timeout()
    )
    try:
        with connect_sockets(store, device):
            yield
    except (Failure, ValueError, OSError) as error:
        words.set(f"failed/{number}", f"rank {number} on {socket.gethostname()}: {error}")
        raise Failure(f"rank {number}: {error}") from error
    except RuntimeError as error:
        raise Failure(diagnose_failure(words, number, count, error)) from error
    dist.destroy_process_group()


def connect_sockets(store: dist.Store, device: torch.device) -> AbstractContextManager[None]:
    """Lines between all processes, if they are on one host, as torchrun says, and have no GPUs to talk by."""
    if device.type != "cpu" or os.environ.get("LOCAL_WORLD_SIZE") != os.environ["WORLD_SIZE"]:
        return nullcontext()
    return unix_sockets.connect(dist.PrefixStore("lines", store), timeout().total_seconds())


def diagnose_failure(words: dist.Store, number: int, count: int, error: RuntimeError) -> str:
    """Why a collective has failed: what the store tells, unless it is cut off too and does not answer."""
    told: list[str] = []
    asking = threading.Thread(target=lambda: told.append(poll_ranks(words, number, count, error)), daemon=True)
    asking.start()
    asking.join(PATIENCE)
    return told[0] if told else f"rank {number} is cut off from the host where all have met ({first_line(error)})"


def poll_ranks(words: dist.Store, number: int, count: int, error: RuntimeError) -> str:
    """What another process said before it ended, or who says nothing."""
    words.set(f"lives/{number}", "")
    time.sleep(MOMENT)
    others = [other for other in range(count) if other != number]
    said = [words.get(f"failed/{other}").decode() for other in others if words.check([f"failed/{other}"])]
    silent = [str(other) for other in others if not words.check([f"lives/{other}"])]
    if said:
        return said[0]
    if silent:
        return f"rank {', '.join(silent)} is dead, stuck or cut off ({first_line(error)})"
    return f"the connection between processes broke ({first_line(error)})"


def first_line(error: RuntimeError) -> str:
    return str(error).strip().splitlines()[0]


def any_process(asks: bool) -> bool:
    """Whether any of the processes asks; all have to ask at the same step."""
    return bool(gather(torch.tensor([asks])).any())


def assert_same_config(facts: dict[str, str]) -> None:
    """See that all processes work with the same parameters, data and code.

    Raises:
        Failure: one of them does not, in all processes.
    """
    for other, theirs in enumerate(gather_objects(facts)):
        if apart := [key for key in facts.keys() | theirs.keys() if facts.get(key) != theirs.get(key)]:
            raise Failure(
                f"rank {other} differs from rank {rank()} in {', '.join(sorted(apart)[:3])}: all nodes need the same "
                "params.yaml, code and data"
            )
