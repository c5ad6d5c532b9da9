"""What is read once for all stages says of each stage what DVC says of it, reading anew."""

import hashlib
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml
from dvc.output import Output
from dvc.repo import Repo
from dvc_data.hashfile.hash_info import HashInfo

from workflow.read_once import read_once

NAMES = ("first", "second", "third")
STAGES = {
    name: {"cmd": f"mkdir -p {name}", "deps": ["shared", f"records/{name}.json"], "outs": [name]} for name in NAMES
}


@pytest.fixture
def repo(tmp_path, monkeypatch) -> Repo:
    """Three stages that were built; all read one folder, and each a record of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}))
    for folder in ("shared", "records"):
        (tmp_path / folder).mkdir()
    (tmp_path / "shared/code.py").write_text("1")
    for name in NAMES:
        (tmp_path / f"records/{name}.json").write_text("1")
    for command in (["dvc", "init", "--quiet", "--no-scm"], ["dvc", "repro", "--quiet"]):
        subprocess.run(command, check=True)
    return Repo()


def stale(repo: Repo) -> dict[str, dict]:
    return {stage.addressing: status for stage in repo.index.stages if (status := stage.status())}


def test_stages_are_stale_by_what_they_read_as_dvc_says(repo):
    Path("records/second.json").write_text("2")
    Path("records/third.json").unlink()
    with repo.lock:
        anew = stale(repo)
        with read_once():
            assert stale(repo) == anew
    assert anew.keys() == {"second", "third"}


def test_files_are_hashed_once(repo, monkeypatch):
    looked, hash_of = Counter(), Output._get_hash_meta

    def counted_hash(out):
        looked[out.def_path] += 1
        return hash_of(out)

    monkeypatch.setattr(Output, "_get_hash_meta", counted_hash)
    with repo.lock, read_once():
        assert not stale(repo)
    assert looked == dict.fromkeys(("shared", *NAMES, *(f"records/{name}.json" for name in NAMES)), 1)


def test_a_changed_file_makes_all_that_read_it_stale_when_looked_at_again(repo):
    with repo.lock, read_once():
        assert not stale(repo)
    Path("shared/code.py").write_text("22")
    with repo.lock, read_once():
        assert stale(repo).keys() == {*NAMES}


@pytest.mark.parametrize(("text", "expected"), [("1", set()), ("2", {"second"})])
def test_a_file_counts_as_it_will_be_whatever_is_on_the_disk(repo, text, expected):
    Path("records/second.json").unlink()
    will_be = {"records/second.json": HashInfo("md5", hashlib.md5(text.encode()).hexdigest())}
    with repo.lock, read_once(will_be):
        assert stale(repo).keys() == expected
