"""The example of docs/extending.md is all that a new method needs."""

import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^`(?P<path>\S+\.py)`:\n\n```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAM = """
import yaml
from tests.every_method import METHODS, MODIFIERS
from tests.golden import training
from whole_in_parts.config.study import Study
from workflow.provenance.record import record

content = yaml.safe_load(open("workflow/studies/small.yaml"))
content["runs"]["new"] = content["runs"]["byol"] | {"method": {"name": "align_uniform", "projector": [32, 16]}}
study = Study.model_validate(content)
code = record(study, "pretrain", "new")["code"]
assert {"whole_in_parts/methods/align_uniform.py"} == {file for file in code if "align_uniform" in file}

training.STEPS = 4
for modifier, options in MODIFIERS.items():
    if options.supports(METHODS["align_uniform"]):
        losses = training.losses("align_uniform", modifier)["global"]
        print(modifier, *losses)
"""


@pytest.fixture
def project(tmp_path) -> Path:
    """A copy of the project with the files of the page."""
    for folder in ("whole_in_parts", "workflow", "stages", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / file, tmp_path)
    for block in BLOCK.finditer((ROOT / "docs/extending.md").read_text()):
        (tmp_path / block["path"]).write_text(block["code"])
    return tmp_path


def test_the_two_files_of_the_page_are_a_method_that_trains_with_every_modifier(project):
    environment = os.environ | {"PYTHONPATH": str(project), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=project, env=environment, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert {name for name, *_ in rows} == {"none", "co", "multi_crop", "logo", "patches"}
    assert all(math.isfinite(float(loss)) for _, *losses in rows for loss in losses)
    assert all(len(set(losses)) > 1 for _, *losses in rows)


def test_what_is_tested_of_every_method_is_tested_of_the_new_one(project):
    contract = "tests/whole_in_parts/methods/test_contract_of_methods.py"
    options = ["-k", "align_uniform and seed_decides", "-p", "no:cacheprovider", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", contract, *options], cwd=project, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


def test_the_files_of_the_page_pass_lint_and_types(project):
    new = [block["path"] for block in BLOCK.finditer((ROOT / "docs/extending.md").read_text())]
    assert len(new) == 2
    for command in (
        ["ruff", "check", *new],
        ["ruff", "format", "--check", *new],
        ["mypy", "--cache-dir=/dev/null", *new],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=project, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout
