"""A history grows in the folder of a training, as CSV and as events."""

import csv
import struct
import time
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event

from whole_in_parts.training.history import LiveHistory, write_history

ROWS = [{"step": 0, "epoch": 0.0, "loss": 2.5}, {"step": 4, "epoch": 0.5, "loss": 1.25, "online_knn": 40.0}]


def events(folder: Path) -> list[tuple[int, str, float]]:
    """Read the scalars of all event files: records of length, checksum, content and checksum."""
    scalars = []
    for file in sorted(folder.glob("events.*")):
        content = file.read_bytes()
        while content:
            [length] = struct.unpack("<Q", content[:8])
            event = Event.FromString(content[12 : 12 + length])
            scalars += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
            content = content[16 + length :]
    return scalars


def wait_for(scalar: tuple[int, str, float], folder: Path) -> None:
    """Wait until a scalar is in the events, which another thread writes."""
    end = time.monotonic() + 30
    while scalar not in events(folder):
        assert time.monotonic() < end, events(folder)
        time.sleep(0.1)


def test_each_row_is_there_as_soon_as_it_is_written(tmp_path):
    with LiveHistory(tmp_path / "scratch") as live:
        live.write(ROWS[:1])
        with (tmp_path / "scratch/history.csv").open() as stream:
            assert list(csv.DictReader(stream)) == [{"step": "0", "epoch": "0.0", "loss": "2.5"}]
        wait_for((0, "loss", 2.5), tmp_path / "scratch")
        live.write(ROWS)
        wait_for((4, "online_knn", 40.0), tmp_path / "scratch")
    write_history(ROWS, tmp_path / "whole.csv")
    assert (tmp_path / "scratch/history.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not list((tmp_path / "scratch").glob("*.unfinished"))


def test_other_processes_than_rank_zero_write_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with LiveHistory(tmp_path / "scratch") as live:
        live.write(ROWS)
    assert not (tmp_path / "scratch").exists()


def test_a_history_is_written_without_tensorboard(tmp_path, monkeypatch):
    monkeypatch.setattr("whole_in_parts.training.history.find_spec", lambda name: None)
    with LiveHistory(tmp_path) as live:
        live.write(ROWS)
    assert [file.name for file in tmp_path.iterdir()] == ["history.csv"]
