"""The published tables are as printed, and the claims follow from them."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from whole_in_parts.config.paper import Between, PublishedRow, load_papers

SECOND = [
    line.split(": ")
    for line in (Path(__file__).parent / "published_figures.txt").read_text().splitlines()
    if not line.startswith("#")
]
TABLES = [(name, number) for name, paper in load_papers().items() for number in paper.tables]
CLAIMS = [(name, key) for name, paper in load_papers().items() for key in paper.claims]


@pytest.mark.parametrize(("place", "values"), SECOND, ids=[place for place, _ in SECOND])
def test_two_transcriptions_of_a_table_have_the_same_values(place, values):
    paper, number = place.split()
    table = load_papers()[paper].tables[number]
    assert [value for row in table.rows.values() for value in row] == [float(value) for value in values.split()]


def test_every_table_was_transcribed_twice():
    assert {f"{paper} {number}" for paper, number in TABLES} - {place for place, _ in SECOND} == {"co_ssl A.6"}


@pytest.mark.parametrize(("paper", "key"), CLAIMS)
def test_the_published_figures_of_a_claim_support_it(paper, key):
    claim = load_papers()[paper].claims[key]
    published = load_papers()[paper].published_differences(claim)
    assert len(published) == len(claim.published)
    assert all(claim.difference.contains(value) for value in published)
    assert published or "Figure" in claim.place


def test_a_bound_is_outside_its_interval():
    assert not Between(above=0).contains(0)
    assert Between(above=0).contains(0.1)
    assert not Between(below=0).contains("0")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"paper": "co"}, "paper: no paper is called co; there are: co_ssl, i2_vicreg, logo, patch_dino"),
        ({"table": "14"}, "table: co_ssl has no table 14; there are: 1, 2, 3"),
        ({"row": "BYOL"}, "row: no row is called 'BYOL'; there are: SimCLR (pub); AMDIM (150e)"),
        ({"metrics": {"top5": "linear.top1"}}, "metrics: no column is called 'top5'; there are: top1"),
        ({"metrics": {"top1": "linear"}}, "String should match pattern"),
    ],
)
def test_a_row_that_is_not_published_is_refused_with_what_is(change, message):
    row = {"paper": "co_ssl", "table": "1", "row": "BYOL+", "run": "byol", "metrics": {"top1": "linear.top1"}}
    PublishedRow.model_validate(row)
    with pytest.raises(ValidationError, match=re.escape(message)):
        PublishedRow.model_validate(row | change)
