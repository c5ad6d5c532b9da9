"""A direct line from each process of a host to each other, for tensors so small that only the time to answer counts.

gloo hands a message through threads that have to be woken one after the other, which costs a batch norm more than its
sums do (it has no shorter way within a host: github.com/pytorch/gloo, issue 455). A socket wakes who waits, once.
"""

import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

LONGEST = 1 << 16
"""Bytes of the largest tensor: all send before they listen, and two such have to fit into a socket."""

FOLDER = "/tmp"
"""Where processes meet: a socket's name is short, and `TMPDIR` may be long."""

NUMBER = 2
"""Bytes in which a caller says its rank."""

_lines: dict[int, socket.socket] = {}


@contextmanager
def connect(store: dist.Store, seconds: float) -> Iterator[None]:
    """Have a line to each other process, on which none waits longer than so many seconds.

    Raises:
        RuntimeError: another process is gone.
    """
    with ExitStack() as stack:
        stack.callback(_lines.clear)
        with as_torch_does():
            for other, line in meet(store, seconds):
                _lines[other] = stack.enter_context(line)
        yield


def meet(store: dist.Store, seconds: float) -> Iterator[tuple[int, socket.socket]]:
    """Call the processes of lower rank, and answer those of higher."""
    rank, ranks = dist.get_rank(), dist.get_world_size()
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder, socket.socket(socket.AF_UNIX) as listening:
        listening.settimeout(seconds)
        listening.bind(f"{folder}/{rank}")
        listening.listen(ranks)
        store.set(str(rank), f"{folder}/{rank}")
        for other in range(rank):
            yield other, call(store.get(str(other)).decode(), rank, seconds)
        for _ in range(rank + 1, ranks):
            yield answer(listening, seconds)


def call(place: str, rank: int, seconds: float) -> socket.socket:
    """A line to the process that listens there, which is told who calls."""
    line = prepare(socket.socket(socket.AF_UNIX), seconds)
    line.connect(place)
    line.sendall(rank.to_bytes(NUMBER))
    return line


def answer(listening: socket.socket, seconds: float) -> tuple[int, socket.socket]:
    """Who calls, and the line to it."""
    line = prepare(listening.accept()[0], seconds)
    return int.from_bytes(line.recv(NUMBER)), line


def prepare(line: socket.socket, seconds: float) -> socket.socket:
    """Give it room for what is sent before it is read, and an end to waiting."""
    for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        line.setsockopt(socket.SOL_SOCKET, buffer, 3 * LONGEST)
    line.settimeout(seconds)
    return line


def carry(x: Tensor) -> bool:
    """Whether there are lines, and the tensor is small enough for them."""
    return bool(_lines) and x.device.type == "cpu" and x.numel() * x.element_size() <= LONGEST


def exchange(x: Tensor) -> list[Tensor]:
    """The tensors of all processes, in order; all are contiguous and of one shape.

    Raises:
        RuntimeError: another process is gone, or sent nothing in time.
    """
    parts = {other: torch.empty_like(x) for other in _lines}
    with as_torch_does():
        for line in _lines.values():
            line.sendall(content(x))
        for other, line in _lines.items():
            fill(content(parts[other]), line)
    return [parts.get(rank, x) for rank in range(len(_lines) + 1)]


def content(x: Tensor) -> memoryview:
    """The bytes of a contiguous tensor, themselves and not a copy."""
    return x.detach().view(-1).view(torch.uint8).numpy().data


def fill(content: memoryview, line: socket.socket) -> None:
    """Read as many bytes as there is room for."""
    while content:
        read = line.recv_into(content)
        if not read:
            raise ConnectionResetError("the other end is closed")
        content = content[read:]


@contextmanager
def as_torch_does() -> Iterator[None]:
    """Raise what torch's collectives do where a process does not answer, so that `group` finds out which."""
    try:
        yield
    except OSError as error:
        raise RuntimeError(f"no answer on this host: {error}") from error
