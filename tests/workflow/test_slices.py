"""Studies are built in slices of time, without DVC and Snakemake, and what they gave is kept after each."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from workflow import evidence_slice
from workflow.program import INTERRUPTED
from workflow.study import dump, with_runs

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two runs of the small study."""
    small = yaml.safe_load((ROOT / "workflow/studies/small.yaml").read_text())
    (tmp_path / "params.yaml").write_text(dump(with_runs(small, {"random", "byol"})))
    return tmp_path


def slices(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Build a slice in a folder in which neither engine can be imported."""
    blocked = folder / "blocked"
    for engine in ("dvc", "snakemake"):
        (blocked / engine).mkdir(parents=True, exist_ok=True)
        (blocked / engine / "__init__.py").write_text("raise ImportError('there is no such engine here')\n")
    environment = os.environ | {"PYTHONPATH": f"{blocked}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "workflow.slices", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


def test_a_study_is_built_in_slices_and_only_what_is_stale_is_built_again(folder):
    evaluations = ["knn", "corrupt", "mask", "attack", "transfer", "analyse", "export"]
    first = slices(folder, "--minutes", "0.2", "--without", *evaluations)
    assert first.returncode == INTERRUPTED, first.stderr
    assert "the same command goes on" in first.stderr

    rest = slices(folder, "--minutes", "9", "--jobs", "2", "--without", *evaluations)
    assert rest.returncode == 0, rest.stderr
    assert (folder / "results/report/index.html").exists()
    assert {path.name for path in (folder / "results/linear").iterdir()} == {"random", "byol"}
    assert slices(folder, "--without", *evaluations).stderr == ""

    params = folder / "params.yaml"
    params.write_text(params.read_text().replace("linear:\n  epochs: 5", "linear:\n  epochs: 4"))
    edited = slices(folder, "--without", *evaluations).stderr
    assert "linear byol" in edited
    assert "pretrain byol" not in edited


def test_a_stage_that_fails_ends_the_slice_with_its_error(folder):
    (folder / "params.yaml").write_text((folder / "params.yaml").read_text().replace("6ebb3d2f", "00000000"))
    ended = slices(folder)
    assert ended.returncode == 1
    assert "stages.fetch digits: error:" in ended.stderr


def test_a_run_that_fails_ends_its_own_stages_alone(folder):
    damaged = folder / "results/pretrain/random"
    evaluations = ["knn", "corrupt", "mask", "attack", "transfer", "analyse", "export"]
    damaged.parent.mkdir(parents=True)
    damaged.write_text("a file where a folder is to be")
    ended = slices(folder, "--without", *evaluations)
    assert ended.returncode not in (0, INTERRUPTED)
    assert (folder / "results/linear/byol").exists()
    assert not (folder / "results/linear/random").exists()
    assert not (folder / "results/report").exists()


def test_a_slice_of_evidence_keeps_what_a_study_gave(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    content = with_runs(evidence_slice.ready("small"), {"random"})
    deadline = time.monotonic() + 600
    assert not evidence_slice.build("small", content, None, time.monotonic())
    assert evidence_slice.build("small", evidence_slice.changed(content, "0", None), None, deadline)
    assert "| random | 1 |" in Path("docs/evidence/small/README.md").read_text()


def test_a_measurement_is_kept_if_it_succeeds_and_not_taken_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    deadline = time.monotonic() + 60
    monkeypatch.setitem(evidence_slice.MEASUREMENTS, "speed", ["calendar", "2026"])
    assert evidence_slice.measure("speed", deadline)
    kept = Path("docs/evidence/accelerator/speed.txt")
    assert "2026" in kept.read_text()

    monkeypatch.setitem(evidence_slice.MEASUREMENTS, "speed", ["calendar", "2027"])
    assert evidence_slice.measure("speed", deadline)
    assert "2026" in kept.read_text()

    monkeypatch.setitem(evidence_slice.MEASUREMENTS, "agreement", ["calendar", "--no-such-option"])
    assert not evidence_slice.measure("agreement", deadline)
    assert not evidence_slice.measure("corruptions", time.monotonic())
