"""Every command that the README offers is run: here, in a built study, or by the test that is named."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = r"(?:snakemake|dvc|make|python) [^`\n#;(]*"

ELSEWHERE = {
    "make study": "test_engines.py: snakemake --cores all",
    "make test": "this suite",
    "make bench": "a measurement",
    "make plan": "test_plan.py",
    "make demo": "test_study.py, and snakemake --cores all",
    "make study STUDY=cifar10": "test_study.py",
    "make plan HARDWARE=h200": "test_plan.py",
    "make grid": "test_grid.py",
    "make evidence": "test_slices.py",
    "make verify": "test_verify.py",
    "make contracts": "test_contracts.py",
    "snakemake --report report.zip": "test_snakemake_report.py",
    "python -m workflow.study claims_co_ssl --runs 'dino*' 'co_dino*'": "test_study.py",
    "python -m workflow.evidence claims_co_ssl": "test_evidence.py",
    "python -m stages.contract NAME --propose": "test_program.py",
    "python -m stages.export ENTRY": "test_export.py",
    "python -m workflow.hub push RUN OWNER/NAME": "test_hub.py",
    "dvc artifacts get URL co_byol": "test_dvc_user.py",
    "dvc config --local cache.type hardlink,reflink,copy": "test_dvc_user.py",
    "dvc remote add --default lab s3://…": "test_remote.py",
    "dvc remote modify lab verify true": "test_verified.py",
    "dvc push": "test_remote.py",
    "dvc pull": "test_engines.py",
    "dvc pull results/pretrain/co_byol": "test_remote.py",
    "snakemake --profile profiles/slurm": "test_slurm.py",
    "snakemake --forcerun linear": "test_engines.py",
    "dvc exp run -S …": "test_dvc_user.py",
}
"""Commands that other tests run, as they stand in the README."""

HERE = [
    "snakemake -n",
    "snakemake --cores all",
    "snakemake --cores all results/linear/co_byol",
    "dvc repro",
    "dvc repro --dry",
    "dvc repro linear@co_byol",
    "dvc exp run --temp -S runs.byol.epochs=20",
    "dvc exp show --only-changed --drop '.*seconds'",
    "dvc metrics diff",
    "dvc plots show",
    "make help",
    "python -m stages.linear --help",
]


def offered() -> set[str]:
    """The commands in the README's blocks and between its backquotes."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
    lines = [command for line in blocks.splitlines() for command in line.partition("#")[0].split(";")]
    lines += re.findall(r", or: (.*)$", blocks, re.MULTILINE)
    lines += re.findall(r"`([^`\n]+)`", README)
    return {line.strip() for line in lines if re.match(PROGRAMS, line.strip())}


def test_every_command_of_the_readme_is_run_by_a_test():
    assert offered() - {*HERE} - ELSEWHERE.keys() == set()


@pytest.mark.parametrize("command", [command for command in HERE if "exp" not in command])
def test_a_command_of_the_readme_does_what_it_says_in_a_built_study(study, command):
    study.run("bash", "-c", command)


def test_an_experiment_runs_what_snakemake_would_leaves_the_study_as_it_is_and_is_shown_beside_it(study):
    params = (study / "params.yaml").read_bytes()
    study.edit(lambda study: study["runs"]["byol"].update(epochs=20))
    would_run = study.would_run()
    (study / "params.yaml").write_bytes(params)
    printed = study.run("bash", "-c", "dvc exp run --temp -S runs.byol.epochs=20")
    ran = set(re.findall(r"^Running stage '(.+)':$", printed, re.MULTILINE))
    kinds = ("pretrain", "extract", "linear", "knn", "corrupt", "mask", "attack")
    entries = {"resolve", "report", "transfer@byol_digits", "analyse@byol_neighbours", "export@byol_onnx"}
    assert ran == entries | {f"{kind}@byol" for kind in kinds}
    assert {address.replace("@", "/") for address in ran} == would_run
    assert (study / "params.yaml").read_bytes() == params
    shown = study.run("bash", "-c", "dvc exp show --only-changed --drop '.*seconds' --csv")
    assert "results/report/metrics/byol.json:linear.top1" in shown
    assert "seconds" not in shown


def test_a_dry_run_of_dvc_looks_one_stage_ahead_and_of_snakemake_all_the_way(study, tmp_path):
    study.edit(lambda study: study["knn"].update(temperature=0.1))
    named = re.findall(r"^Running stage '(.+)':$", study.run("dvc", "repro", "--dry"), re.MULTILINE)
    assert named == ["resolve"]
    assert study.would_run() == {"resolve", "knn/random", "knn/byol", "knn/co_byol", "report"}
    clone = type(study)(tmp_path / "clone")
    study.run("git", "clone", "--quiet", str(study.folder), str(clone.folder))
    assert "No such file or directory" in clone.run("dvc", "repro", "--dry", fails=True)
