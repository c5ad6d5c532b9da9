"""A training by several processes on one machine, started by the stage itself, and what ends it."""

import csv
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
import yaml
from safetensors.torch import load_file

from whole_in_parts.results import scratch_dir

MODEL = Path("results/pretrain/byol/model/model.safetensors")
REQUEUE = 75


@pytest.fixture
def study(root, place):
    """A function that writes the study, in which `byol` has so many epochs and whatever else is changed."""

    def write(epochs: int = 1, **changes) -> Path:
        content = yaml.safe_load((root / "workflow/studies/small.yaml").read_text())
        content["runs"]["byol"]["backbone"] |= {"blocks": [1], "strides": [1]}  # fewer layers, fewer messages
        content["runs"]["byol"] |= {"epochs": epochs} | changes
        (place / "params.yaml").write_text(yaml.safe_dump(content))
        return place

    return write


class Pretraining:
    """The pretraining of `byol` in a folder, begun by so many processes."""

    def __init__(self, folder: Path, log: Path, environment: dict[str, str]):
        self.folder, self.log = folder, log
        with log.open("w") as stream:
            command = [sys.executable, "-m", "stages.pretrain", "byol"]
            self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=stream, stderr=stream)

    def end(self) -> int:
        """Wait for the end, and give the exit code."""
        return self.process.wait()

    def printed(self) -> str:
        return self.log.read_text()

    def workers(self) -> list[psutil.Process]:
        """The processes that train, by their ranks."""
        below = psutil.Process(self.process.pid).children(recursive=True)
        return sorted((each for each in below if "RANK" in each.environ()), key=lambda each: each.environ()["RANK"])

    def wait_for_a_checkpoint(self) -> None:
        while not list((self.folder / "scratch/pretrain/byol").glob("*.pt")):
            assert self.process.poll() is None, self.printed()
            time.sleep(0.01)


@pytest.fixture
def begin(root, tmp_path_factory):
    """A function that starts a pretraining."""
    started = []

    def go(folder: Path, processes: int = 2, **environment: str) -> Pretraining:
        names = {"PROCESSES_PER_NODE": str(processes), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
        names |= {"CHECKPOINT_SECONDS": "0.2"} | environment
        started.append(Pretraining(folder, tmp_path_factory.mktemp("log") / "log", os.environ | names))
        return started[-1]

    yield go
    for each in started:
        each.process.kill()
        each.end()


def meeting() -> dict[str, str]:
    """What two nodes on this machine are told of each other, at a port that nothing else has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    return {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "RANK_TIMEOUT_SECONDS": "30"}


def history(folder: Path) -> list[dict[str, float]]:
    with (folder / "results/pretrain/byol/history.csv").open() as stream:
        return [{name: float(value or "nan") for name, value in row.items()} for row in csv.DictReader(stream)]


def test_two_processes_train_what_one_does(study, begin):
    folder = study(batch_size=256)  # five steps: rounding differs, and grows with each of them
    found = []
    for processes in (1, 2):
        pretraining = begin(folder, processes)
        assert pretraining.end() == 0, pretraining.printed()
        found.append((load_file(folder / MODEL), history(folder)))
    (alone, rows), (together, others) = found
    assert alone.keys() == together.keys()
    for name, tensor in alone.items():
        torch.testing.assert_close(together[name], tensor, rtol=1e-2, atol=1e-2)
    assert [row["loss"] for row in others] == pytest.approx([row["loss"] for row in rows], abs=1e-3)
    assert [row["online_knn"] for row in others] == pytest.approx(
        [row["online_knn"] for row in rows], abs=1, nan_ok=True
    )


@pytest.mark.parametrize(("processes", "number"), [(1, signal.SIGUSR1), (2, signal.SIGTERM)])
def test_a_training_that_is_told_to_stop_asks_to_be_started_again_and_ends_in_the_same_bytes(
    study, begin, processes, number
):
    folder = study(epochs=5)
    assert begin(folder, processes).end() == 0
    whole = (folder / MODEL).read_bytes()
    (folder / MODEL).unlink()
    stopped = begin(folder, processes, CHECKPOINT_SECONDS="0")  # the first is due at once, long before the end
    stopped.wait_for_a_checkpoint()
    stopped.process.send_signal(number)
    assert stopped.end() == REQUEUE, stopped.printed()
    assert "told to stop after step" in stopped.printed()
    assert not (folder / MODEL).exists()
    again = begin(folder, processes)
    assert again.end() == 0, again.printed()
    assert (folder / MODEL).read_bytes() == whole
    assert not scratch_dir("pretrain", "byol").exists()


def test_a_rank_that_dies_ends_all_and_is_named(study, begin):
    pretraining = begin(study(epochs=1000))
    pretraining.wait_for_a_checkpoint()
    left, dies = pretraining.workers()
    dies.kill()
    died = time.monotonic()
    code = pretraining.end()
    assert time.monotonic() - died < 30
    assert code not in (0, REQUEUE)
    assert not left.is_running()
    assert (
        "rank 1 is dead, stuck or cut off" in pretraining.printed()
        or "rank      : 1 (local_rank: 1)" in pretraining.printed()
    ), pretraining.printed()
    assert not MODEL.exists()


def test_a_rank_that_is_stuck_ends_all_in_the_stated_time_and_is_named(study, begin):
    pretraining = begin(study(epochs=1000), RANK_TIMEOUT_SECONDS="5")
    pretraining.wait_for_a_checkpoint()
    pretraining.workers()[1].suspend()
    stuck = time.monotonic()
    code = pretraining.end()
    assert time.monotonic() - stuck < 5 + 2 + 30 + 15  # the timeout, a moment, torchrun's patience, and some slack
    assert code not in (0, REQUEUE)
    assert "rank 1 is dead, stuck or cut off" in pretraining.printed(), pretraining.printed()


def test_a_batch_that_cannot_be_shared_is_refused(study, begin):
    pretraining = begin(study(batch_size=63))
    code = pretraining.end()
    assert code not in (0, REQUEUE)
    assert "runs.byol.batch_size: 63 images cannot be shared by 2 processes" in pretraining.printed()


def test_nodes_with_different_parameters_refuse_to_train_together(study, begin, root, tmp_path):
    one = study()
    other = tmp_path / "other"
    other.mkdir()
    (other / "results").symlink_to(one / "results")
    text = (one / "params.yaml").read_text()
    (other / "params.yaml").write_text(text.replace("learning_rate: 0.2", "learning_rate: 0.3"))
    assert (other / "params.yaml").read_text() != text
    told = meeting()
    nodes = [begin(folder, 1, RANK=str(rank), **told) for rank, folder in enumerate((one, other))]
    for node in nodes:
        assert node.end() == 1
        assert "runs.byol.optimizer.learning_rate" in node.printed(), node.printed()
    assert not (one / MODEL).exists()


@pytest.mark.parametrize("missing", ["000000.tar"])
def test_a_shard_that_one_node_lacks_is_named_by_all(study, begin, shards, tmp_path, missing):
    one = study()
    other = tmp_path / "other"
    split = other / "results/shard/digits"
    split.parent.mkdir(parents=True)
    subprocess.run(["cp", "-r", str(shards), str(split)], check=True)
    (split / "train" / missing).unlink()
    (other / "params.yaml").write_text((one / "params.yaml").read_text())
    told = meeting()
    nodes = [begin(folder, 1, RANK=str(rank), **told) for rank, folder in enumerate((one, other))]
    for node in nodes:
        assert node.end() == 1
        assert missing in node.printed(), node.printed()
