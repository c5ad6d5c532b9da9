"""Snakemake's own report holds the page of the study and its figures, as the catalog of workflows is told."""

import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.fake_results import fill, made
from tests.workflow.conftest import ROOT, Checkout, checkout
from whole_in_parts.config.study import load_study


@pytest.fixture
def reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """The small study with its page, of results that are made up."""
    project = checkout(tmp_path)
    monkeypatch.chdir(tmp_path)
    plan = load_study()
    fill(plan)
    for kind in ("transfer", "analyse"):
        shutil.rmtree(f"results/{kind}")
    made(plan, "results/report")
    return project


def script(page: str, name: str) -> dict:
    """A variable that the page of Snakemake's report defines."""
    found = re.search(rf'<script id="{name}">\s*var {name} = (.*?);\s*</script>', page, re.DOTALL)
    return json.loads(found[1])


def test_the_page_and_each_figure_are_in_the_report_of_snakemake_with_a_caption_and_a_category(reported):
    reported.run("snakemake", "--report", "report.zip")
    with zipfile.ZipFile(reported / "report.zip") as archive:
        page = archive.read("report/report.html").decode()
        results = script(page, "results")
        figures = sorted(
            str(file.relative_to(reported.folder)) for file in reported.folder.glob("results/report/figures/*")
        )
        assert len(figures) == 5
        assert sorted(results) == [*figures, "results/report/index.html"]
        for path, result in results.items():
            assert archive.read(f"report/{result['data_uri']}") == (reported / path).read_bytes()

    categories = {name: sorted(kept["Other"]) for name, kept in script(page, "categories").items()}
    assert categories == {"Page": ["results/report/index.html"], "Figures": figures}
    assert "claims" in results["results/report/index.html"]["caption"]
    assert "corruptions of growing severity" in results["results/report/figures/digits_corruptions.svg"]["caption"]
    assert len({result["caption"] for result in results.values()}) == len(results)
    assert results["results/report/figures/digits_masks.svg"]["labels"] == {"shows": "digits masks"}


def test_the_catalog_is_told_of_the_report_and_of_flags_that_snakemake_knows(reported):
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["report"] is True
    assert (ROOT / "Snakefile").is_file()
    flags = usage["mandatory-flags"]["flags"].split()
    assert "total" in reported.run("snakemake", "-n", *flags)
