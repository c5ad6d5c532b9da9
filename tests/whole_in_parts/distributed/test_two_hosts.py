"""A training over two hosts: two network namespaces that a cable joins, with torchrun in each."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
import torch
import yaml
from safetensors.torch import load_file

from tests.debian import need, skip

MODEL = Path("results/pretrain/byol/model/model.safetensors")
CABLE = "cable"
MEETING = "192.0.2.1:29500"
RETRIES, GIVES_UP = 5, 15
"""How often the kernel sends anew what nobody confirms, and so how many seconds until it gives a connection up."""
SLACK = 30
"""Seconds for programs to start and to end, on a machine that has other work."""


class Host(NamedTuple):
    """A network namespace with one end of the cable."""

    name: str
    address: str

    def ip(self, *arguments: str) -> None:
        ip("-n", self.name, *arguments)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@pytest.fixture
def hosts() -> Iterator[list[Host]]:
    need(ip="iproute2")
    made = [Host(f"test-{os.getpid()}-{number}", f"192.0.2.{number}") for number in (1, 2)]
    try:
        try:
            join(*made)
        except subprocess.CalledProcessError as error:
            skip(f"no network namespaces: {error.stderr.strip()}")
        yield made
    finally:
        for host in made:
            subprocess.run(["ip", "netns", "delete", host.name], capture_output=True, check=False)


def join(one: Host, other: Host) -> None:
    """Make two namespaces and a cable between them."""
    for host in (one, other):
        ip("netns", "add", host.name)
        host.ip("link", "set", "lo", "up")
    ends = [["name", CABLE, "netns", host.name] for host in (one, other)]
    ip("link", "add", *ends[0], "type", "veth", "peer", *ends[1])
    for host in (one, other):
        host.ip("address", "add", f"{host.address}/24", "dev", CABLE)
        host.ip("link", "set", CABLE, "up")
        ip("netns", "exec", host.name, "sh", "-c", f"echo {RETRIES} > /proc/sys/net/ipv4/tcp_retries2")


class Node:
    """The part of a training that one host has."""

    def __init__(self, host: Host, folder: Path, log: Path, environment: dict[str, str], patience: int):
        self.log = log
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
        meeting = ["--rdzv-backend=c10d", f"--rdzv-endpoint={MEETING}", f"--local-addr={host.address}"]
        conf = f"join_timeout={patience},read_timeout={patience},is_host={host.address in MEETING}"
        meeting += ["--rdzv-id=study", f"--rdzv-conf={conf}"]
        command = ["ip", "netns", "exec", host.name, *torchrun, *meeting, "-m", "stages.pretrain", "byol"]
        with log.open("w") as stream:
            self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=stream, stderr=stream)

    def end(self, within: float) -> int:
        """The exit code."""
        return self.process.wait(within)

    def printed(self) -> str:
        return self.log.read_text()

    def kill(self) -> None:
        if self.process.poll() is None:
            root = psutil.Process(self.process.pid)
            for each in [*root.children(recursive=True), root]:
                each.kill()
            self.process.wait()


@pytest.fixture
def begin(root, tmp_path):
    """A function that starts a host's part of a training, and waits so long for the other host."""
    started = []

    def go(host: Host, folder: Path, patience: int = 60, **environment: str) -> Node:
        names = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(root), "GLOO_SOCKET_IFNAME": CABLE}
        names |= {"CHECKPOINT_SECONDS": "0.2"} | environment
        started.append(Node(host, folder, tmp_path / f"{host.name}.log", os.environ | names, patience))
        return started[-1]

    yield go
    for node in started:
        node.kill()


@pytest.fixture
def study(root, place):
    """A function that writes the study, in which `byol` has so many epochs and whatever else is changed."""

    def write(epochs: int, **changes) -> Path:
        content = yaml.safe_load((root / "workflow/studies/small.yaml").read_text())
        content["runs"]["byol"] |= {"epochs": epochs} | changes
        (place / "params.yaml").write_text(yaml.safe_dump(content))
        return place

    return write


def test_two_hosts_train_what_one_process_does(hosts, study, begin, root):
    folder = study(epochs=1, batch_size=256)  # five steps: rounding differs, and grows with each of them
    alone = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(root), "PROCESSES_PER_NODE": "1"}
    subprocess.run([sys.executable, "-m", "stages.pretrain", "byol"], cwd=folder, env=alone, check=True)
    expected = load_file(folder / MODEL)
    (folder / MODEL).unlink()
    nodes = [begin(host, folder) for host in hosts]
    assert [node.end(within=300) for node in nodes] == [0, 0], [node.printed() for node in nodes]
    found = load_file(folder / MODEL)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(("comes", "error"), [(0, "RendezvousTimeoutError"), (1, "RendezvousConnectionError")])
def test_a_host_that_waits_in_vain_for_the_other_ends_in_bounded_time_and_says_so(hosts, study, begin, comes, error):
    folder, began = study(epochs=1), time.monotonic()
    node = begin(hosts[comes], folder, patience=5)
    assert node.end(within=300) != 0
    assert time.monotonic() - began < 3 * 5 + SLACK  # torchrun looks for a store twice, with a pause between
    assert error in node.printed(), node.printed()
    assert not (folder / "results/pretrain").exists()


def test_a_cut_cable_ends_both_hosts_in_the_stated_time_and_the_lost_rank_is_named(hosts, study, begin):
    folder = study(epochs=1000)
    nodes = [begin(host, folder, RANK_TIMEOUT_SECONDS="5") for host in hosts]
    while not list((folder / "scratch/pretrain/byol").glob("*.pt")):
        assert [node.process.poll() for node in nodes] == [None, None], [node.printed() for node in nodes]
        time.sleep(0.05)
    hosts[1].ip("link", "set", CABLE, "down")
    cut = time.monotonic()
    codes = [node.end(within=300) for node in nodes]
    assert 0 not in codes
    assert time.monotonic() - cut < max(5 + 2, GIVES_UP) + SLACK
    assert "rank 1 is dead, stuck or cut off" in nodes[0].printed(), nodes[0].printed()
    assert "timed out" in nodes[1].printed(), nodes[1].printed()
    assert not (folder / "results/pretrain").exists()
    assert list((folder / "scratch/pretrain/byol").glob("*.pt"))
