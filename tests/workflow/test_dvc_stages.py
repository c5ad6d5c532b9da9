"""What is read once for all stages says of each stage what DVC says of it, reading anew."""

import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml
from dvc.dependency import param
from dvc.output import Output
from dvc.repo import Repo

from workflow.dvc_stages import read_once

STAGES = {
    name: {"cmd": f"mkdir -p {name}", "deps": ["shared"], "params": [f"runs.{name}.seed", "size"], "outs": [name]}
    for name in ("first", "second", "third")
}


@pytest.fixture
def repo(tmp_path, monkeypatch) -> Repo:
    """Three stages that were built; all read one folder and one file of parameters."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}))
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params()))
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/code.py").write_text("1")
    for command in (["dvc", "init", "--quiet", "--no-scm"], ["dvc", "repro", "--quiet"]):
        subprocess.run(command, check=True)
    return Repo()


def params() -> dict:
    return {"size": None, "runs": {name: {"seed": 0, "epochs": 1} for name in STAGES}}


def change(place: str, value: int) -> None:
    """Change one run's entry in the parameters, or leave it out."""
    changed = params()
    changed["runs"]["second"][place] = value
    if value < 0:
        del changed["runs"]["second"][place]
    Path("params.yaml").write_text(yaml.safe_dump(changed))


@pytest.mark.parametrize(
    ("place", "value", "stale"),
    [("seed", 0, []), ("seed", 1, ["second"]), ("seed", -1, ["second"]), ("epochs", 2, []), ("epochs", -1, [])],
)
def test_stages_are_stale_by_the_keys_that_they_name(repo, place, value, stale):
    change(place, value)
    with repo.lock:
        anew = {stage.addressing: stage.status() for stage in repo.index.stages}
        with read_once():
            once = {stage.addressing: stage.status() for stage in repo.index.stages}
    assert once == anew
    assert [name for name in once if once[name]] == stale


def test_files_and_parameters_are_read_once(repo, monkeypatch):
    looked, hash_of, parse = Counter(), Output._get_hash_meta, param.load_path

    def counted_hash(out):
        looked[out.def_path] += 1
        return hash_of(out)

    def counted_parse(path, *given, **named):
        looked["params.yaml"] += 1
        return parse(path, *given, **named)

    monkeypatch.setattr(Output, "_get_hash_meta", counted_hash)
    monkeypatch.setattr(param, "load_path", counted_parse)
    with repo.lock, read_once():
        assert not any(stage.status() for stage in repo.index.stages)
    assert looked == dict.fromkeys(("params.yaml", "shared", *STAGES), 1)


def test_a_changed_file_makes_all_that_read_it_stale_when_looked_at_again(repo):
    with repo.lock, read_once():
        assert not any(stage.status() for stage in repo.index.stages)
    Path("shared/code.py").write_text("22")
    with repo.lock, read_once():
        assert all(stage.status() for stage in repo.index.stages)
