"""A result is complete or absent, and what cannot be put in place is refused before the work."""

import sys
import tempfile
from pathlib import Path

import pytest

from whole_in_parts.failure import Failure
from whole_in_parts.results import RESULTS, SCRATCH, atomic_output_dir

SHARED_MEMORY = Path("/dev/shm")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a second file system at a known place")
def test_results_on_another_file_system_are_refused_before_the_work_and_stay_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as elsewhere:
        RESULTS.symlink_to(elsewhere)
        (RESULTS / "knn/byol").mkdir(parents=True)
        (RESULTS / "knn/byol/old").touch()
        said = "results/knn: not on the file system of scratch, from where a result is renamed; make scratch a link"
        with pytest.raises(Failure, match=said), atomic_output_dir("knn", "byol"):
            pytest.fail("the work has begun")
        assert [file.name for file in RESULTS.rglob("*")] == ["knn", "byol", "old"]

        (tmp_path / "moved").symlink_to(elsewhere)
        (tmp_path / "moved/scratch").mkdir()
        SCRATCH.rename("unused")
        SCRATCH.symlink_to(tmp_path / "moved/scratch")
        with atomic_output_dir("knn", "byol") as directory:
            (directory / "new").touch()
        assert [file.name for file in (RESULTS / "knn/byol").iterdir()] == ["new"]


def test_a_file_in_the_place_of_a_folder_of_results_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    RESULTS.mkdir()
    (RESULTS / "knn").touch()
    with (
        pytest.raises(Failure, match=r"results/knn: a result cannot be put there \(Not a directory\)"),
        atomic_output_dir("knn", "byol"),
    ):
        pytest.fail("the work has begun")
