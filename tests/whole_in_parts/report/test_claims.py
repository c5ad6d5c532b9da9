"""A claim is tested on the pairs of groups that differ as it says, and on no others."""

import json
import re

import pytest

from tests.fake_results import BYOL, LINEAR, RESNET, SIMILARITY, VIEW, change, fill, made, page, runs, study
from whole_in_parts.config.study import Study
from whole_in_parts.report import claims, findings

CO = {"name": "co", "weight": 0.2}
RF = RESNET | {"name": "rf_resnet", "blocks": [3, 3, 3], "mlp": True}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def build(monkeypatch: pytest.MonkeyPatch, values: dict[str, float], **options: object) -> Study:
    """A study whose runs have these values by the linear probe, plus 0.1 for each further seed."""
    for name, value in values.items():
        monkeypatch.setitem(LINEAR, name, value)
    built = study(**options)
    fill(built)
    for name, run in built.runs.items():
        base = values.get(re.sub(r"_\d$", "", name))
        if base is not None:
            change("linear", name, top1=base + run.seed * 0.1)
    return built


def outcome(built: Study, paper: str, name: str) -> claims.TestedClaim:
    found = findings.find(built)
    return next(item for item in found.pretraining + found.claims if (item.paper, item.name) == (paper, name))


def test_a_claim_with_a_clear_difference_over_paired_seeds_is_supported(monkeypatch):
    built = build(monkeypatch, {"byol": 80.0, "co_byol": 83.0})
    change("linear", "co_byol", top1=83.2)
    claim = outcome(built, "co_ssl", "linear")
    assert claim.verdict == "supported"
    [comparison] = claim.comparisons
    assert comparison.differences == pytest.approx({0: 3.2, 1: 3.0, 2: 3.0})
    assert [(term.sign, term.group.name) for term in comparison.terms] == [(1, "co_byol"), (-1, "byol")]
    assert comparison.scale == "images, 28 px, 2 epochs"
    assert comparison.interval.low < comparison.mean < comparison.interval.high


def test_a_claim_with_a_clear_difference_the_other_way_is_contradicted(monkeypatch):
    built = build(monkeypatch, {"byol": 84.0, "co_byol": 83.0})
    change("linear", "co_byol", top1=83.1)
    assert outcome(built, "co_ssl", "linear").verdict == "contradicted"


def test_an_interval_that_goes_both_ways_is_undecided_and_says_how_many_seeds_would_decide(monkeypatch):
    built = build(monkeypatch, {"byol": 80.0, "co_byol": 81.0})
    change("linear", "co_byol", top1=78.9)
    change("linear", "co_byol_1", top1=81.1)
    claim = outcome(built, "co_ssl", "linear")
    assert claim.verdict == "undecided"
    assert re.fullmatch(r"the interval goes both ways; \d+ seeds would probably decide", claim.comparisons[0].reason)


def test_a_claim_without_runs_or_with_a_missing_number_is_undecided_and_says_so(monkeypatch):
    built = build(monkeypatch, {})
    assert outcome(built, "logo", "knn").reason == "the study has no such runs, or does not ask for the metric"
    change("linear", "byol_1", top1=...)
    assert outcome(built, "co_ssl", "linear").comparisons[0].reason == "numbers are missing"


def test_a_claim_of_one_seed_is_undecided(monkeypatch):
    chosen = runs("byol", seeds=1, method=BYOL) | runs("co_byol", seeds=1, method=BYOL, modifier=CO)
    [comparison] = outcome(build(monkeypatch, {}, runs=chosen), "co_ssl", "linear").comparisons
    assert (comparison.verdict, comparison.reason) == ("undecided", "fewer than two seeds in common")
    assert comparison.mean == 3


def test_only_groups_that_are_otherwise_alike_are_compared(monkeypatch):
    chosen = (
        runs("byol", method=BYOL)
        | runs("byol_rf", method=BYOL, backbone=RF)
        | runs("byol_long", method=BYOL, epochs=5)
        | runs("co_byol", method=BYOL, modifier=CO)
        | runs("co_byol_rf", method=BYOL, modifier=CO, backbone=RF)
    )
    values = {"byol": 80.0, "byol_rf": 79.0, "byol_long": 81.0, "co_byol": 83.0, "co_byol_rf": 84.0}
    built = build(monkeypatch, values, runs=chosen)
    pairs = [[term.group.name for term in item.terms] for item in outcome(built, "co_ssl", "linear").comparisons]
    assert pairs == [["co_byol", "byol"], ["co_byol_rf", "byol_rf"]]
    pairs = [[term.group.name for term in item.terms] for item in outcome(built, "co_ssl", "rf_resnet").comparisons]
    assert pairs == [["co_byol_rf", "byol"]]


def test_a_change_is_compared_by_what_it_does_to_each(monkeypatch):
    small, large = [VIEW | {"crop_scale": [0.2, 1]}] * 2, [VIEW | {"crop_scale": [0.7, 1]}] * 2
    chosen = (
        runs("byol", method=BYOL, views=small)
        | runs("byol_large", method=BYOL, views=large)
        | runs("co_byol", method=BYOL, modifier=CO, views=small)
        | runs("co_byol_large", method=BYOL, modifier=CO, views=large)
    )
    values = {"byol": 80.0, "byol_large": 70.0, "co_byol": 82.0, "co_byol_large": 79.0}
    built = build(monkeypatch, values, runs=chosen)
    [comparison] = outcome(built, "co_ssl", "large_crops").comparisons
    signs = {term.group.name: term.sign for term in comparison.terms}
    assert signs == {"co_byol_large": 1, "byol_large": -1, "co_byol": -1, "byol": 1}
    assert comparison.mean == pytest.approx((79 - 82) - (70 - 80))


def test_the_metric_of_an_analysis_is_found_by_the_analysis(monkeypatch):
    chosen = runs("byol", method=BYOL) | runs("co_byol", method=BYOL, modifier=CO)
    entries = {f"{name}_similarity": SIMILARITY | {"run": name} for name in chosen}
    built = build(monkeypatch, {"byol": 80.0, "co_byol": 83.0}, runs=chosen, analyse=entries)
    for name in chosen:
        change("analyse", f"{name}_similarity", within=0.6 if name.startswith("co") else 0.4)
    change("analyse", "byol_similarity", within=0.41)
    assert outcome(built, "co_ssl", "alike").verdict == "supported"


def test_the_report_has_the_claims_and_the_published_figures(monkeypatch):
    row = {"paper": "co_ssl", "table": "1", "row": "BYOL+", "run": "byol", "metrics": {"top1": "linear.top1"}}
    built = build(monkeypatch, {"byol": 80.0, "co_byol": 83.0}, published=[row])
    change("linear", "co_byol", top1=83.2)
    directory = made(built)
    content = json.loads((directory / "claims.json").read_text())
    assert content["co_ssl"]["linear"] == "supported"
    assert content["pretraining"] == {"linear": "supported", "knn": "supported"}
    assert "logo" not in content
    assert (
        'co_ssl,linear,+co_byol -byol,"images, 28 px, 2 epochs",3,3.0' in (directory / "tables/claims.csv").read_text()
    )
    assert (
        (directory / "tables/published.csv")
        .read_text()
        .splitlines()[1]
        .startswith("co_ssl,1,BYOL+,top1,byol,linear.top1,3,80.1")
    )
    text = (directory / "index.html").read_text()
    assert "✓ supported" in text
    assert "CO-SSL: local representations" in text
    assert "+10.00" in text.replace("\n", "")


def test_a_published_row_of_a_run_that_is_not_there_is_refused():
    row = {"paper": "co_ssl", "table": "1", "row": "BYOL+", "run": "byl", "metrics": {"top1": "linear.top1"}}
    with pytest.raises(ValueError, match=r"published\.0\.run: no run is called byl; there are: random"):
        study(published=[row])


def test_pretraining_is_better_than_random_weights_by_the_same_statistics_as_the_claims_of_papers(monkeypatch):
    built = build(monkeypatch, {"random": 68.0, "byol": 80.0, "co_byol": 60.0})
    change("linear", "random", top1=67.8)
    change("linear", "byol_2", top1=68.1)
    found = {each.terms[0].group.name: each for each in outcome(built, "pretraining", "linear").comparisons}
    assert {name: each.verdict for name, each in found.items()} == {"byol": "undecided", "co_byol": "contradicted"}
    assert found["byol"].differences == pytest.approx({0: 12.2, 1: 12.0, 2: -0.1})
    assert found["byol"].means == pytest.approx([76.0667, 68.0333], abs=1e-4)
    change("linear", "byol_2", top1=79.9)
    again = outcome(built, "pretraining", "linear")
    assert [each.verdict for each in again.comparisons] == ["supported", "contradicted"]
    assert again.verdict == "contradicted"


def test_pretraining_is_compared_by_the_first_k_for_self_supervised_groups_alone(monkeypatch):
    built = build(monkeypatch, {})
    compared = [[term.group.name for term in each.terms] for each in outcome(built, "pretraining", "knn").comparisons]
    assert compared == [["byol", "random"], ["co_byol", "random"]]
    assert outcome(built, "pretraining", "knn").claim.metrics == [r"knn\.top1_k20"]


def test_pretraining_is_compared_with_the_same_backbone_on_the_same_dataset_and_with_no_other(monkeypatch):
    random = {"method": {"name": "random"}, "epochs": 0}
    chosen = (
        runs("random", **random, batch_size=128)
        | runs("random_wide", **random, backbone=RESNET | {"width": 32})
        | runs("random_digits", **random, dataset="digits")
        | runs("byol", method=BYOL)
        | runs("byol_rf", method=BYOL, backbone=RF)
    )
    values = dict.fromkeys(("random", "random_wide", "random_digits"), 68.0) | {"byol": 80.0, "byol_rf": 80.0}
    built = build(monkeypatch, values, runs=chosen)
    compared = [
        [term.group.name for term in each.terms] for each in outcome(built, "pretraining", "linear").comparisons
    ]
    assert compared == [["byol", "random"]]
    assert "There is no random backbone to compare byol_rf with." in page(built)


def test_a_claim_about_two_metrics_of_a_run_is_tested_on_each_group_alone(monkeypatch):
    chosen = runs("byol", method=BYOL) | runs("co_byol", method=BYOL, modifier=CO)
    probe = {"epochs": 5, "batch_size": 64, "learning_rate": 0.1, "weight_decay": 0}
    bag = {"name": "bag", "patches": [1, 16], "scale": [0.2, 0.2], "train_subset": 100, "probe": probe}
    entries = {f"{name}_bag": {"run": name, "dataset": "digits", "analysis": bag, "subset": 100} for name in chosen}
    built = build(monkeypatch, {"byol": 80.0, "co_byol": 83.0}, runs=chosen, analyse=entries)
    for number, name in enumerate(chosen):
        change("analyse", f"{name}_bag", top1=60.0, top1_16=60.0 + number, top1_central=58.0 + 0.5 * number)
    compared = outcome(built, "i2_vicreg", "aggregation").comparisons
    assert [[term.group.name for term in each.terms] for each in compared] == [["byol"] * 2, ["co_byol"] * 2]
    assert compared[0].differences == pytest.approx({0: 2.0, 1: 2.5, 2: 3.0})
    assert compared[0].verdict == "supported"
