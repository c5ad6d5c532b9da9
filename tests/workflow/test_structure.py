"""The name is the place: a stage is one module, one block of dvc.yaml, one rule, one folder of results."""

import runpy
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
KINDS = list(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])


def test_every_module_of_stages_is_a_block_of_dvc_yaml():
    assert {file.stem for file in (ROOT / "stages").glob("*.py")} - {"__init__"} == set(KINDS)


def test_every_block_is_a_rule(study):
    assert set(KINDS) <= set(study.run("snakemake", "--list-rules").split())


def test_every_stage_that_was_built_has_a_log_and_a_benchmark(study):
    built = {file.parent.relative_to(study / "results") for file in study.folder.glob("results/*/*/*")}
    stages = {place for place in built if place.parts[0] not in ("report", "resolve")}
    assert len(stages) > len(KINDS)
    for place in [*stages, Path("report"), Path("resolve")]:
        assert (study / "logs" / f"{place}.log").is_file()
        assert (study / "benchmarks" / f"{place}.tsv").is_file()


@pytest.mark.parametrize("kind", KINDS)
def test_every_stage_has_a_help_that_says_what_it_writes(kind, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [kind, "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / f"stages/{kind}.py"), run_name="__main__")
    assert end.value.code == 0
    assert f"results/{kind}" in capsys.readouterr().out


def test_snakemakes_linter_asks_for_nothing_but_conda_environments(study):
    printed = study.run("snakemake", "--lint", fails=True)
    remarks = [line.strip() for line in printed.splitlines() if line.startswith("    * ")]
    assert remarks
    assert all(remark.startswith("* Specify a conda environment or container") for remark in remarks)


def test_a_job_gets_as_many_threads_as_its_rule_takes(study):
    (study / "stages/knn.py").write_text(
        '"""Prints."""\nimport os\n\nprint("threads:", os.environ["OMP_NUM_THREADS"])\nraise SystemExit(1)\n'
    )
    assert "threads: 1" in study.run("snakemake", "--cores", "2", "results/knn/byol", fails=True)
