"""The kept evidence gives its page, its verdicts and its README again."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workflow.evidence_page import readme

ROOT = Path(__file__).parents[2]
KEPT = sorted(file.parent for file in (ROOT / "docs/evidence").glob("*/params.yaml"))


@pytest.mark.parametrize("folder", KEPT, ids=[folder.name for folder in KEPT])
def test_kept_figures_give_the_same_verdicts_and_the_same_readme(tmp_path, folder):
    copy = Path(shutil.copytree(folder, tmp_path / folder.name))
    shutil.rmtree(copy / "results/report")
    command = [sys.executable, "-m", "stages.report", "--study", str(copy)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=tmp_path)
    assert (copy / "results/report/claims.json").read_bytes() == (folder / "results/report/claims.json").read_bytes()
    assert readme(copy) == (folder / "README.md").read_text()


def test_there_is_evidence():
    assert KEPT
    links = (ROOT / "docs/evidence/README.md").read_text()
    assert all(f"({folder.name}/README.md)" in links for folder in KEPT)
