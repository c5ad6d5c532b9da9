"""docs/papers.md lists what the ready studies measure of the papers, and each run has its metric."""

import pytest

from whole_in_parts.config.paper import PublishedRow
from whole_in_parts.config.study import Study, load_study
from whole_in_parts.evaluation.analysis import load_analysis
from whole_in_parts.report.results import PATCH_METRICS, expected_metrics
from workflow.papers import PAGE, STUDIES, page, rows

ROWS = list(rows())


@pytest.fixture(scope="module")
def studies() -> dict[str, Study]:
    return {name: load_study(STUDIES / f"{name}.yaml") for name in {study for study, _ in ROWS}}


def test_the_page_is_what_the_studies_say():
    assert page(PAGE.read_text()) == PAGE.read_text()
    assert len(ROWS) >= 100


@pytest.mark.parametrize(
    ("study", "row"), ROWS, ids=[f"{study} {row.table} {row.row} {row.run}" for study, row in ROWS]
)
def test_a_row_of_a_paper_is_a_run_of_its_study_with_its_metrics(studies, study: str, row: PublishedRow):
    content = studies[study]
    for metric in row.metrics.values():
        stage, *names = metric.split(".")
        if stage == "analyse":
            entry = content.analyse[names[0]]
            assert entry.run == row.run
            assert load_analysis(entry.analysis.name)
        else:
            expected = expected_metrics(content, row.run, stage)
            assert names[0] in expected + (PATCH_METRICS if stage == "pretrain" else [])


@pytest.mark.parametrize("study", ["co_ssl_imagenet", "co_ssl_imagenet100", "bags_cifar10", "patch_dino_cifar10"])
def test_every_run_of_a_study_of_a_paper_is_in_a_row_or_named_on_the_page(studies, study):
    in_rows = {row.run for name, row in ROWS if name == study}
    assert [run for run in studies[study].runs if run not in in_rows and f"`{run}`" not in PAGE.read_text()] == []
