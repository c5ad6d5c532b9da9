import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from whole_in_parts.failure import Failure
from whole_in_parts.metrics import write_metrics
from whole_in_parts.progress import name_program, progress
from whole_in_parts.results import result_dir, scratch_dir
from workflow import program
from workflow.provenance.options import KINDS, Reads

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A place to work in that has the small study."""
    (tmp_path / "params.yaml").write_text((ROOT / "workflow/studies/small.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def start(monkeypatch, stage, *arguments: str, keys: str = "runs", printed=None) -> None:
    """Run a function as a stage of a kind of its own, which reads one section of the study."""
    monkeypatch.setattr(sys, "argv", ["stage", *arguments])
    monkeypatch.setitem(KINDS, stage.__name__, Reads(keys, (keys or "knn",)))
    program.run(stage, printed)


def works(study, run, directory):
    (directory / "new").write_text(f"{run}: {study.runs[run].method.name}")


def suggest(study, run):
    return f"{run}: {study.runs[run].method.name}"


def fails(study, run, directory):
    (directory / "half").touch()
    raise Failure("knn.neighbours: 20 of 10")


def left(folder: Path) -> dict[str, str]:
    """The files of all results, by name."""
    place = folder / "results"
    return {str(file.relative_to(place)): file.read_text() for file in place.rglob("*") if file.is_file()}


def test_what_a_stage_leaves_in_its_directory_is_its_result(folder, monkeypatch):
    start(monkeypatch, works, "byol")
    assert left(folder) == {"works/byol/new": "byol: byol"}


def test_what_an_option_of_a_stage_prints_leaves_no_result(folder, monkeypatch, capsys):
    start(monkeypatch, works, "byol", "--suggest", printed=suggest)
    assert capsys.readouterr().out == "byol: byol\n"
    assert left(folder) == {}
    start(monkeypatch, works, "byol", printed=suggest)
    assert left(folder) == {"works/byol/new": "byol: byol"}
    with pytest.raises(SystemExit):
        start(monkeypatch, works, "byol", "--suggest")


def test_a_stage_without_keys_takes_no_argument_and_writes_the_directory_of_its_kind(folder, monkeypatch):
    def page(study, key, directory):
        (directory / "page").write_text(key)

    start(monkeypatch, page, keys="")
    assert left(folder) == {"page/page": ""}


def test_a_finished_stage_takes_the_place_of_its_old_result_and_leaves_its_scratch_empty(folder, monkeypatch):
    result_dir("works", "byol").mkdir(parents=True)
    (result_dir("works", "byol") / "old").touch()
    start(monkeypatch, works, "byol")
    assert left(folder) == {"works/byol/new": "byol: byol"}
    assert not scratch_dir("works", "byol").exists()


@pytest.mark.parametrize("kind", [Failure, ValueError, OSError, RuntimeError])
def test_a_stage_that_raises_leaves_no_result_and_does_not_exit_with_zero(folder, monkeypatch, kind):
    def broken(study, run, directory):
        (directory / "half").touch()
        raise kind("its message")

    with pytest.raises((SystemExit, RuntimeError), match="its message") as stopped:
        start(monkeypatch, broken, "byol")
    assert getattr(stopped.value, "code", 1)
    assert not result_dir("broken").exists()


def test_a_stage_that_raises_leaves_an_old_result_as_it_was(folder, monkeypatch):
    result_dir("fails", "byol").mkdir(parents=True)
    (result_dir("fails", "byol") / "old").write_text("old")
    with pytest.raises(SystemExit):
        start(monkeypatch, fails, "byol")
    assert left(folder) == {"fails/byol/old": "old"}


def test_what_a_failed_stage_left_does_not_reach_the_next_result(folder, monkeypatch):
    with pytest.raises(SystemExit):
        start(monkeypatch, fails, "byol")
    monkeypatch.setattr(works, "__name__", "fails")
    start(monkeypatch, works, "byol")
    assert left(folder) == {"fails/byol/new": "byol: byol"}


def test_a_failure_is_one_line_that_names_stage_and_key(folder, monkeypatch):
    with pytest.raises(SystemExit) as stopped:
        start(monkeypatch, fails, "byol")
    assert stopped.value.code == "stages.fails byol: error: knn.neighbours: 20 of 10"


@pytest.mark.parametrize(
    ("keys", "allowed"), [("runs", "random, byol, co_byol"), ("datasets", "digits")], ids=["runs", "datasets"]
)
def test_an_unknown_key_is_refused_with_those_that_there_are(folder, monkeypatch, keys, allowed):
    with pytest.raises(SystemExit) as stopped:
        start(monkeypatch, works, "bjol", keys=keys)
    assert stopped.value.code.endswith(f"{keys}: params.yaml has no bjol; there are: {allowed}")
    assert not (folder / "results").exists()


def test_a_mistake_in_the_study_stops_a_stage_before_it_begins(folder, monkeypatch):
    (folder / "params.yaml").write_text("runs: {}\n")
    with pytest.raises(SystemExit, match=r"params\.yaml: linear: Field required"):
        start(monkeypatch, works, "byol")
    assert not (folder / "scratch").exists()


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, text=True, capture_output=True)


def test_a_real_stage_as_a_program_exits_with_one_line_and_not_with_zero(folder):
    done = python(folder, "-m", "stages.fetch", "cifar")
    assert done.returncode == 1
    assert done.stderr == "stages.fetch cifar: error: datasets: params.yaml has no cifar; there are: digits\n"


def test_a_real_stage_as_a_program_writes_its_result(folder):
    done = python(folder, "-m", "stages.fetch", "digits")
    assert done.returncode == 0, done.stderr
    assert [file.name for file in result_dir("fetch", "digits").iterdir()] == ["digits.csv.gz"]


def test_progress_in_a_log_is_whole_lines_that_say_what_and_how_far(capsys):
    name_program("pretrain byol")
    assert list(progress(range(3), "train")) == [0, 1, 2]
    lines = capsys.readouterr().err.splitlines()
    assert re.match(r"pretrain byol train: 100%.* 3/3", lines[-1])
    assert not any("\r" in line or not line for line in lines)


def test_metrics_are_a_flat_json_that_reads_back(tmp_path):
    write_metrics(tmp_path, {"top1": 12.5, "samples": 8})
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"top1": 12.5, "samples": 8}


def by_dvc(folder: Path, stage: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A stage as DVC starts it, which says in the environment what stage it is."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DVC_STAGE": stage}
    command = [sys.executable, "-m", f"stages.{stage.partition('@')[0]}", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True)


def test_a_dataset_without_expectations_stops_at_its_contract_and_goes_on_by_what_is_proposed(folder):
    params = yaml.safe_load((folder / "params.yaml").read_text())
    del params["datasets"]["digits"]["expect"]
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    for stage in ("resolve", "fetch@digits", "shard@digits"):
        assert by_dvc(folder, stage).returncode == 0

    done = by_dvc(folder, "contract@digits")
    assert done.returncode == 1
    command = "python -m stages.contract digits --propose"
    assert done.stderr.startswith(
        f"stages.contract digits: error: datasets.digits.expect: left out; `{command}` prints"
    )
    assert not result_dir("contract", "digits").exists()

    proposed = python(folder, *command.split()[1:])
    params["datasets"]["digits"] |= yaml.safe_load(proposed.stdout)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    for stage in ("resolve", "contract@digits"):
        assert by_dvc(folder, stage).returncode == 0
    assert result_dir("contract", "digits").exists()


def test_dvc_says_in_the_environment_what_the_key_is(folder):
    assert by_dvc(folder, "resolve").returncode == 0
    done = by_dvc(folder, "fetch@digits")
    assert done.returncode == 0, done.stderr
    assert [file.name for file in result_dir("fetch", "digits").iterdir()] == ["digits.csv.gz"]


def test_a_stage_refuses_to_run_by_a_record_that_is_no_longer_true(folder):
    assert by_dvc(folder, "resolve").returncode == 0
    params = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(params.replace("sha256: 6ebb", "sha256: 7ebb"))
    done = by_dvc(folder, "fetch@digits")
    assert done.returncode == 1
    said = "options or code were edited since it was written; run the same command again"
    assert done.stderr == f"stages.fetch digits: error: results/resolve/fetch/digits.json: {said}\n"
    assert not result_dir("fetch", "digits").exists()
