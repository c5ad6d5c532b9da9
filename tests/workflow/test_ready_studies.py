"""Every ready study resolves to the same stages in both engines, and works for anybody."""

import re
from pathlib import Path

import pytest
from dvc.repo import Repo

from tests.workflow.conftest import Checkout, checkout
from whole_in_parts.config.study import load_study
from workflow.dvc_stages import Stages
from workflow.provenance.record import records
from workflow.study import STUDIES

READY = sorted(file.stem for file in STUDIES.glob("*.yaml"))


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Checkout:
    """The project without results."""
    return checkout(tmp_path_factory.mktemp("ready"))


@pytest.mark.parametrize("name", READY)
def test_a_ready_study_has_the_same_stages_in_both_engines_and_all_are_to_be_built(project, name, monkeypatch):
    monkeypatch.chdir(project.folder)
    Path("params.yaml").write_text((STUDIES / f"{name}.yaml").read_text())
    study = load_study()
    expected = {str(path.with_suffix("")) for path, _ in records(study)} | {"resolve"}

    with Repo() as repo:
        of_dvc = {stage.addressing.replace("@", "/") for stage in repo.index.stages}
    of_snakemake = Stages.from_dvc(study).by_output.values()

    assert of_dvc == expected
    assert {stage.output.removeprefix("results/") for stage in of_snakemake} == expected
    assert all(stage.stale for stage in of_snakemake)


@pytest.mark.parametrize("name", READY)
def test_a_ready_study_names_no_folder_of_one_machine(name):
    paths = re.findall(r"path: ([^,}\s]+)", (STUDIES / f"{name}.yaml").read_text())
    assert [path for path in paths if Path(path).is_absolute() or ".." in path] == []
