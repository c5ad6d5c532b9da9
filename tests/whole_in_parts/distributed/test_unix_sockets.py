import socket
import threading
from pathlib import Path

import pytest
import torch

from whole_in_parts.distributed import unix_sockets

PROGRAM = str(Path(__file__).with_name("gathering.py"))


@pytest.fixture
def other(monkeypatch):
    """The peer's end of the socket between this process and rank 1."""
    ours, theirs = socket.socketpair()
    monkeypatch.setitem(unix_sockets._sockets, 1, unix_sockets.configure(ours, timeout=0.2))
    with ours, theirs:
        yield theirs


def test_small_tensors_of_several_processes_go_over_sockets_and_arrive_as_by_gloo(torchrun):
    before = set(Path(unix_sockets.FOLDER).iterdir())
    printed = torchrun(3, PROGRAM)
    assert printed.count(": socket") == 7
    assert "more than fits: gloo" in printed
    assert not [path for path in set(Path(unix_sockets.FOLDER).iterdir()) - before if (path / "0").is_socket()]


def test_two_of_the_largest_fit_into_a_socket_while_nobody_listens(other):
    largest = torch.zeros(unix_sockets.MAX_BYTES, dtype=torch.uint8)
    for _ in range(2):
        unix_sockets._sockets[1].sendall(unix_sockets.as_bytes(largest))


def test_what_comes_in_pieces_is_put_together(other):
    x = torch.arange(4.0)
    whole = bytes(unix_sockets.as_bytes(x + 1))
    other.sendall(whole[:3])
    threading.Timer(0.05, other.sendall, [whole[3:]]).start()
    assert [part.tolist() for part in unix_sockets.exchange(x)] == [[0, 1, 2, 3], [1, 2, 3, 4]]


def test_a_process_that_has_ended_is_noticed_at_once(other):
    other.close()
    with pytest.raises(RuntimeError, match=r"no answer on this host: .*(closed|Broken pipe)"):
        unix_sockets.exchange(torch.zeros(1))


def test_a_process_that_says_nothing_is_not_waited_for_longer_than_stated(other):
    with pytest.raises(RuntimeError, match="no answer on this host: timed out"):
        unix_sockets.exchange(torch.zeros(1))
