"""A study says when what its runs share is shared no longer."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from whole_in_parts.config.recipes import redundant_overrides

ROOT = Path(__file__).parents[3]
STUDIES = [ROOT / "params.yaml", *sorted((ROOT / "workflow/studies").glob("*.yaml"))]

MERGED = """
recipes:
  run: &run {epochs: 2, views: [{flip: 0.5}, {flip: 0.5}]}
runs:
  one: {<<: *run, epochs: 3}
  two: {<<: *run, seed: 1}
"""


def remark(tmp_path: Path, text: str) -> str:
    file = tmp_path / "params.yaml"
    file.write_text(text)
    return redundant_overrides(file).removeprefix(f"{file}: ")


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_in_a_shipped_study_a_change_of_a_recipe_reaches_the_runs(path):
    assert redundant_overrides(path) == ""


def test_a_run_that_overrides_what_it_merges_inherits_the_rest(tmp_path):
    assert remark(tmp_path, MERGED) == ""


def test_entries_that_repeat_what_they_merge_are_named_with_the_keys_and_the_way_back(tmp_path):
    text = MERGED.replace("epochs: 3", "views: [{flip: 0.5}, {flip: 0.5}], epochs: 2").replace("seed: 1", "epochs: 2")
    said = remark(tmp_path, text)
    assert said.startswith(
        "runs.one repeats views, epochs of the recipe that it merges, and 1 other entries do likewise"
    )
    assert said.endswith(f"git checkout {tmp_path / 'params.yaml'}")
    assert "\n" not in said


def test_a_study_without_merges_has_nothing_to_lose(tmp_path):
    text = OmegaConf.to_yaml({"recipes": {"run": {"epochs": 2}}, "runs": {"one": {"epochs": 2}}})
    assert remark(tmp_path, text) == ""
