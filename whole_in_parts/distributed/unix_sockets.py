"""Exchange small CPU tensors between the processes of a host over Unix sockets, where latency is all that counts.

gloo passes a message through threads that wake one after the other, which costs a batch norm more than its sums do
(gloo has no faster way within a host: github.com/pytorch/gloo, issue 455). A socket wakes its reader once.
"""

import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

MAX_BYTES = 1 << 16
"""The size of the largest tensor: all processes write before they read, so a socket must buffer two such tensors."""

FOLDER = "/tmp"
"""The folder of the socket files: their paths must be short, and `TMPDIR` may be long."""

RANK_BYTES = 2
"""The length of the message in which a connecting process sends its rank."""

_sockets: dict[int, socket.socket] = {}


@contextmanager
def connect(store: dist.Store, timeout: float) -> Iterator[None]:
    """Connect this process to every other one; reads and writes time out after `timeout` seconds.

    Raises:
        RuntimeError: another process does not respond.
    """
    with ExitStack() as stack:
        stack.callback(_sockets.clear)
        with raising_runtime_errors():
            for peer, connection in open_connections(store, timeout):
                _sockets[peer] = stack.enter_context(connection)
        yield


def open_connections(store: dist.Store, timeout: float) -> Iterator[tuple[int, socket.socket]]:
    """Connect to the processes of lower rank and accept those of higher rank; give rank and socket of each peer."""
    rank = dist.get_rank()
    world_size = dist.get_world_size()
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(timeout)
        listener.bind(f"{folder}/{rank}")
        listener.listen(world_size)
        store.set(str(rank), f"{folder}/{rank}")

        for peer in range(rank):
            yield peer, connect_to(store.get(str(peer)).decode(), rank, timeout)
        for _ in range(rank + 1, world_size):
            yield accept(listener, timeout)


def connect_to(path: str, rank: int, timeout: float) -> socket.socket:
    """Connect to the process that listens at a path, and send it this process's rank."""
    connection = configure(socket.socket(socket.AF_UNIX), timeout)
    connection.connect(path)
    connection.sendall(rank.to_bytes(RANK_BYTES))
    return connection


def accept(listener: socket.socket, timeout: float) -> tuple[int, socket.socket]:
    """Accept a connection; return the rank of the peer and the socket."""
    connection = configure(listener.accept()[0], timeout)
    return int.from_bytes(connection.recv(RANK_BYTES)), connection


def configure(connection: socket.socket, timeout: float) -> socket.socket:
    """Set the timeout, and buffers that hold two unread tensors."""
    for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        connection.setsockopt(socket.SOL_SOCKET, buffer, 3 * MAX_BYTES)
    connection.settimeout(timeout)
    return connection


def supports(x: Tensor) -> bool:
    """Return whether the processes are connected and the tensor is on the CPU and small enough."""
    return bool(_sockets) and x.device.type == "cpu" and x.numel() * x.element_size() <= MAX_BYTES


def exchange(x: Tensor) -> list[Tensor]:
    """Gather a contiguous tensor from every process, by rank; all have the same shape.

    Raises:
        RuntimeError: another process has ended, or sent nothing before the timeout.
    """
    tensors = {peer: torch.empty_like(x) for peer in _sockets}
    with raising_runtime_errors():
        for connection in _sockets.values():
            connection.sendall(as_bytes(x))
        for peer, connection in _sockets.items():
            receive_into(as_bytes(tensors[peer]), connection)
    return [tensors.get(rank, x) for rank in range(len(_sockets) + 1)]


def as_bytes(x: Tensor) -> memoryview:
    """View the memory of a contiguous tensor as bytes, without a copy."""
    return x.detach().view(-1).view(torch.uint8).numpy().data


def receive_into(buffer: memoryview, connection: socket.socket) -> None:
    """Read from a socket until the buffer is full."""
    while buffer:
        count = connection.recv_into(buffer)
        if not count:
            raise ConnectionResetError("the other end is closed")
        buffer = buffer[count:]


@contextmanager
def raising_runtime_errors() -> Iterator[None]:
    """Turn socket errors into RuntimeError, as torch's collectives raise, so that `group` names the failed rank."""
    try:
        yield
    except OSError as error:
        raise RuntimeError(f"no answer on this host: {error}") from error
