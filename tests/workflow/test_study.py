"""A ready study takes the place of params.yaml, and no edit is lost."""

import subprocess
from pathlib import Path

import pytest
import yaml

from whole_in_parts.config.study import load_study
from workflow.study import STUDIES, take, with_runs


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A repository with a committed params.yaml."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("committed: 1\n")
    for command in ("init --quiet", "add .", "-c user.name=a -c user.email=a@b commit --quiet -m first"):
        subprocess.run(["git", *command.split()], check=True)
    return tmp_path


def test_a_ready_study_takes_the_place_of_a_committed_one_and_of_another(folder):
    for name in ("demo", "small"):
        take(name)
        assert (folder / "params.yaml").read_bytes() == (STUDIES / f"{name}.yaml").read_bytes()


def test_an_edit_that_git_does_not_have_is_not_lost(folder):
    (folder / "params.yaml").write_text("edited: 1\n")
    with pytest.raises(
        ValueError, match=r"params.yaml has edits that git does not have; commit them, or: git checkout"
    ):
        take("demo")
    assert (folder / "params.yaml").read_text() == "edited: 1\n"


def test_some_runs_of_a_study_are_a_study_that_another_may_replace(folder):
    with pytest.raises(ValueError, match=r"--runs: no run is called dino\*; there are: random, byol, co_byol"):
        take("demo", ["byol", "dino*"])
    take("demo", ["*byol"])
    assert load_study().runs.keys() == {"byol", "co_byol"}
    take("small")


def test_a_part_of_a_study_asks_what_the_whole_asks_of_its_runs():
    content = with_runs(yaml.safe_load((STUDIES / "small.yaml").read_text()), {"random", "byol"})
    assert content["transfer"].keys() == {"byol_digits"}
    assert content["analyse"].keys() == {"byol_neighbours"}
    assert "recipes" not in content
