"""The pages of the papers list what the ready studies measure of them, and each run has its metric."""

import pytest

from whole_in_parts.config.paper import PublishedRow, load_papers
from whole_in_parts.config.study import Study, load_study
from whole_in_parts.evaluation.analysis import load_analysis
from whole_in_parts.report.asked import PATCH_METRICS, expected_metrics
from workflow.papers import PAGES, STUDIES, pages, rows

ROWS = list(rows())
INTRODUCTION = PAGES.with_suffix(".md").read_text()


@pytest.fixture(scope="module")
def studies() -> dict[str, Study]:
    return {name: load_study(STUDIES / f"{name}.yaml") for name in {study for study, _ in ROWS}}


def test_the_pages_are_what_the_papers_and_the_studies_say():
    assert {file.stem: file.read_text() for file in PAGES.glob("*.md")} == pages(), "run: make papers"
    assert len(ROWS) >= 100
    for name, paper in load_papers().items():
        assert all(claim.says in pages()[name] for claim in paper.claims.values())


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


@pytest.mark.parametrize("study", sorted({name for name, _ in ROWS}))
def test_every_run_of_a_study_of_a_paper_is_in_a_row_or_named_on_the_page(studies, study):
    in_rows = {row.run for name, row in ROWS if name == study}
    assert [run for run in studies[study].runs if run not in in_rows and f"`{run}`" not in INTRODUCTION] == []
