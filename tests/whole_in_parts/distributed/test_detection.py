"""A detector that several processes train and evaluate is that of one, to rounding."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from tests.whole_in_parts.evaluation.detection import shapes

PROGRAM = str(Path(__file__).with_name("detecting.py"))
NEVER = "-1"


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> Path:
    return shapes.packed(tmp_path_factory.mktemp("detected"), 7)


@pytest.fixture(scope="module")
def alone(torchrun, shards, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("one")
    torchrun(1, PROGRAM, str(shards), str(folder), NEVER)
    return folder


def assert_same(folder: Path, expected: Path) -> None:
    found, wanted = (torch.load(place / "trained.pt") for place in (folder, expected))
    torch.testing.assert_close(found["weights"], wanted["weights"], rtol=1e-8, atol=1e-8)
    assert found["metrics"] == wanted["metrics"]
    rows, others = (pq.read_table(place / "result/predictions.parquet").to_pandas() for place in (folder, expected))
    assert len(rows) > 0
    assert list(rows["key"]) == list(others["key"])
    torch.testing.assert_close(torch.tensor(rows["score"]), torch.tensor(others["score"]), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("processes", [2, 4])
def test_a_detector_by_several_processes_has_the_weights_and_the_detections_of_one(
    torchrun, shards, alone, tmp_path, processes
):
    torchrun(processes, PROGRAM, str(shards), str(tmp_path), NEVER)
    assert_same(tmp_path, alone)


def test_a_detector_that_two_processes_began_is_finished_by_one(torchrun, shards, alone, tmp_path):
    torchrun(2, PROGRAM, str(shards), str(tmp_path), "2", fails=True, CHECKPOINT_SECONDS="0")
    assert any((tmp_path / "scratch").rglob("*.pt"))
    torchrun(1, PROGRAM, str(shards), str(tmp_path), NEVER)
    assert_same(tmp_path, alone)
