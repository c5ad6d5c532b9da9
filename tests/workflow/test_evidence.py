"""What a study measured is kept in a folder, part by part, and its page can be made again from it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.fake_results import fill, study
from whole_in_parts.config.study import load_study
from whole_in_parts.failure import Failure
from workflow.evidence import EVIDENCE, collect
from workflow.study import dump, matching

ROOT = Path(__file__).parents[2]
FOLDER = EVIDENCE / "claims"
FIRST, SECOND = ["random", "supervised", "*byol"], ["*_1", "*_2"]
"""The runs of seed 0, and those of seeds 1 and 2."""


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A study of three seeds, as text; the working directory is empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return dump(study().model_dump(mode="json", exclude_unset=True))


def build(text: str) -> None:
    """Make up the results of a study, in place of those that are there."""
    Path("params.yaml").write_text(text)
    shutil.rmtree("results", ignore_errors=True)
    fill(load_study())


def render() -> None:
    command = [sys.executable, "-m", "stages.report", "--study", str(FOLDER)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})


def test_parts_add_up_to_the_study_as_it_is_when_built_at_once(whole):
    for patterns in (FIRST, SECOND):
        build(matching(whole, patterns))
        collect(load_study(), FOLDER)
    in_parts = (FOLDER / "results/report/claims.json").read_bytes()
    runs_in_parts = yaml.safe_load((FOLDER / "params.yaml").read_text())["runs"]
    collect(load_study(), FOLDER)  # once more changes nothing
    assert [part["runs"] for part in json.loads((FOLDER / "conditions.json").read_text())] == [4, 6]

    shutil.rmtree(FOLDER)
    build(whole)
    collect(load_study(), FOLDER)
    assert (FOLDER / "results/report/claims.json").read_bytes() == in_parts
    assert yaml.safe_load((FOLDER / "params.yaml").read_text())["runs"] == runs_in_parts


def test_the_page_is_made_again_from_what_is_kept(whole):
    build(whole)
    collect(load_study(), FOLDER)
    page = (FOLDER / "results/report/index.html").read_bytes()
    shutil.rmtree("results")
    shutil.rmtree(FOLDER / "results/report")

    render()
    assert (FOLDER / "results/report/index.html").read_bytes() == page


def test_the_readme_names_claims_verdicts_and_conditions(whole):
    build(whole)
    collect(load_study(), FOLDER)
    text = (FOLDER / "README.md").read_text()
    assert "| The global representation is better with CO-SSL than without it, by the linear probe. |" in text
    assert "**supported**" in text
    assert "| random | 3 | 68.50 ± 0.50 |" in text
    assert json.loads((FOLDER / "conditions.json").read_text())[0]["hardware"] in text


def test_a_run_whose_results_are_not_all_there_is_left_for_later(whole):
    build(whole)
    shutil.rmtree("results/mask/byol_1")
    assert set(load_study().runs) - set(collect(load_study(), FOLDER)) == {"byol_1"}

    shutil.rmtree("results/linear")
    with pytest.raises(Failure, match=r"results/linear/random: missing, and no other run has all of its results"):
        collect(load_study(), FOLDER)


def test_parts_with_other_settings_are_not_mixed(whole):
    build(matching(whole, FIRST))
    collect(load_study(), FOLDER)
    build(matching(whole, SECOND).replace("neighbours:\n  - 20\n  - 5", "neighbours:\n  - 20"))
    with pytest.raises(Failure, match=r"knn: the settings differ from those in docs/evidence/claims/params.yaml"):
        collect(load_study(), FOLDER)

    build(matching(whole, FIRST).replace("predictor: 64", "predictor: 32"))
    with pytest.raises(
        Failure, match=r"runs.byol: differs from docs/evidence/claims/params.yaml; collect into another"
    ):
        collect(load_study(), FOLDER)
