"""A grid is written once and stands in `runs` in full, where DVC reads it."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from whole_in_parts.config.study import load_study
from workflow.grid import BEGIN, END, with_runs

GRID = """
grids:
  weights:
    run: co_byol
    axes:
      modifier.weight: [0.1, 0.5]
      seed: [0, 1]
  crops:
    run: byol
    axes: {views.0.crop_scale: [[0.1, 1.0], [0.4, 1.0]]}
"""
NAMES = [f"weights_weight_0_{weight}_seed_{seed}" for weight in (1, 5) for seed in (0, 1)]
NAMES += ["crops_crop_scale_0_1_1_0", "crops_crop_scale_0_4_1_0"]


@pytest.fixture
def text(root) -> str:
    return (root / "workflow/studies/small.yaml").read_text() + GRID


def study(text: str, folder: Path):
    (folder / "params.yaml").write_text(text)
    return load_study(folder / "params.yaml")


def test_the_runs_of_a_grid_are_all_combinations_and_what_they_vary_alone_differs(text, tmp_path):
    runs = study(with_runs(text), tmp_path).runs
    assert list(runs)[-6:] == NAMES
    for name, weight, seed in zip(NAMES, (0.1, 0.1, 0.5, 0.5), (0, 1, 0, 1), strict=False):
        varied = runs["co_byol"].modifier.model_copy(update={"weight": weight})
        assert runs[name] == runs["co_byol"].model_copy(update={"modifier": varied, "seed": seed})
    assert runs[NAMES[-1]].views[0].crop_scale == (0.4, 1.0)
    assert runs[NAMES[-1]].views[1] == runs["byol"].views[1]


def test_all_other_lines_stay_as_they_are_and_writing_again_changes_nothing(text):
    written = with_runs(text)
    lines = written.splitlines()
    begin, end = lines.index(BEGIN), lines.index(END)
    assert "\n".join(lines[:begin] + lines[end + 1 :]) + "\n" == text
    assert with_runs(written) == written
    assert with_runs(written.replace(GRID, "")) == text.replace(GRID, "")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            GRID,
            GRID,
            "grids.weights: runs.weights_weight_0_1_seed_0 is not as the grid says; write it: python -m workflow",
        ),
        ("run: co_byol", "run: co", "grids.weights.run: no run is called co; there are: random, byol, co_byol"),
        ("modifier.weight", "modifer.weight", "grids.weights.axes.modifer.weight: the run has no section for it"),
        ("seed: [0, 1]", f"seed: {[*range(600)]}", "grids.weights.axes: 1200 runs; allowed are 1000"),
        ("seed: [0, 1]", "seed: []", "grids.weights.axes.seed: List should have at least 1 item"),
    ],
)
def test_a_study_whose_runs_are_not_those_of_its_grids_is_refused(text, tmp_path, old, new, said):
    with pytest.raises(ValueError, match=r"params\.yaml") as error:
        study(text.replace(old, new), tmp_path)
    assert said in str(error.value)


def test_an_edit_of_the_run_is_refused_until_its_grid_is_written_again(text, tmp_path):
    written = yaml.safe_load(with_runs(text))
    written["runs"]["co_byol"]["epochs"] += 1
    with pytest.raises(ValueError, match=r"is not as the grid says"):
        study(yaml.safe_dump(written, sort_keys=False), tmp_path)


def test_the_command_writes_the_file_and_leaves_it_as_it_was_if_a_run_is_not_valid(text, tmp_path, root):
    def run() -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "workflow.grid"]
        return subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(root)}, capture_output=True, text=True)

    (tmp_path / "params.yaml").write_text(text)
    assert run().stdout == "params.yaml: 6 runs of grids\n"
    assert (tmp_path / "params.yaml").read_text() == with_runs(text)

    wrong = text.replace("modifier.weight: [0.1, 0.5]", "modifier.weight: [0.1, -2]")
    (tmp_path / "params.yaml").write_text(wrong)
    failed = run()
    assert failed.returncode == 1
    assert "runs.weights_weight_2_seed_0.modifier.co.weight" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert (tmp_path / "params.yaml").read_text() == wrong
