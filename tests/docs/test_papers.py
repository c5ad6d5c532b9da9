"""Every row of docs/papers.md names a run that its study has, and a metric that the run will have."""

import re
from pathlib import Path

import pytest

from whole_in_parts.config.study import Study, load_study
from whole_in_parts.report.results import PATCH_METRICS, expected_metrics

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (\S+) \| ([^|]+) \| `(\w+)` \| `(\w+)` \| (\w+) \| `(\w+)` \|$", re.MULTILINE)
TEXT = (ROOT / "docs/papers.md").read_text()
ROWS = ROW.findall(TEXT)


@pytest.fixture(scope="module")
def studies() -> dict[str, Study]:
    return {name: load_study(ROOT / f"workflow/studies/{name}.yaml") for name in {row[2] for row in ROWS}}


def test_no_row_is_written_otherwise():
    assert len(ROWS) == len([line for line in TEXT.splitlines() if line.startswith("|")]) - 2 * TEXT.count("| table |")


@pytest.mark.parametrize("row", ROWS, ids=[f"{row[2]} {row[0]} {row[1]}" for row in ROWS])
def test_a_row_of_a_paper_is_a_run_of_its_study_with_its_metric(studies, row):
    _, _, study, run, stage, metric = row
    assert run in studies[study].runs
    expected = expected_metrics(studies[study], run, stage)
    assert metric in expected + (PATCH_METRICS if stage == "pretrain" else [])


@pytest.mark.parametrize("study", ["co_ssl_imagenet", "co_ssl_imagenet100", "bags_cifar10", "patch_dino_cifar10"])
def test_every_run_of_a_study_of_a_paper_is_a_row(studies, study):
    assert set(studies[study].runs) == {row[3] for row in ROWS if row[2] == study}
