"""A stage sees the options that it is recorded with, and no others."""

import json
from pathlib import Path

import pytest

from whole_in_parts.config.study import Study, load_study
from workflow.provenance.options import KINDS, effective, implementations, keys, read_by

ROOT = Path(__file__).parents[3]
STUDIES = [ROOT / "params.yaml", *sorted((ROOT / "workflow/studies").glob("*.yaml"))]


@pytest.fixture(scope="module")
def shipped() -> Study:
    return load_study(ROOT / "workflow/studies/small.yaml")


def test_a_stage_sees_what_its_kind_reads_and_asking_for_more_is_an_error(shipped):
    seen = read_by(shipped, "mask", "byol")
    assert seen.mask == shipped.mask.model_copy(update={"runs": ["byol"]})
    assert seen.runs["byol"].backbone == shipped.runs["byol"].backbone
    assert list(seen.runs) == ["byol"]
    for ask in (lambda: seen.knn, lambda: seen.runs["byol"].epochs, lambda: seen.runs["byol"].accumulate):
        with pytest.raises(AttributeError):
            ask()


def test_an_entry_of_its_own_sees_its_run_the_classes_of_the_runs_dataset_and_the_transform_of_its_own(shipped):
    seen = read_by(shipped, "analyse", "byol_neighbours")
    assert seen.runs == {"byol": shipped.runs["byol"]}
    assert seen.datasets["digits"].expect.classes == 10
    transform = {"resize": None, "keep_aspect": True, "interpolation": "bicubic"}
    assert effective(seen.datasets) == {"digits": {"expect": {"classes": 10}, "test_transform": transform}}


def test_which_other_runs_are_evaluated_and_how_changes_nothing_for_a_run_that_is_not(shipped):
    def of_random(runs: list[str] | None, rates: list[int]) -> object:
        mask = shipped.mask.model_copy(update={"runs": runs, "rates": rates})
        return effective(read_by(shipped.model_copy(update={"mask": mask}), "mask", "random"))

    assert of_random(None, [50]) == of_random(["byol", "random"], [50]) != of_random(None, [60])
    assert of_random(["byol"], [50]) == of_random(["co_byol"], [60]) == of_random([], [])


def test_a_training_that_begins_with_others_sees_them_all_and_what_follows_it_does_not(shipped):
    runs = {"first": shipped.runs["byol"]}
    runs["second"] = runs["first"].model_copy(update={"start": "first"})
    runs["third"] = runs["first"].model_copy(update={"start": "second"})
    study = shipped.model_copy(update={"runs": runs})
    assert list(read_by(study, "pretrain", "first").runs) == ["first"]
    assert sorted(read_by(study, "pretrain", "third").runs) == ["first", "second", "third"]
    assert list(read_by(study, "extract", "third").runs) == ["third"]


def test_expectations_that_are_left_out_are_recorded_as_none_by_all_that_read_a_part_of_them(shipped):
    dataset = shipped.datasets["digits"].model_copy(update={"expect": None})
    without = shipped.model_copy(update={"datasets": {"digits": dataset}})
    for kind, key in (("contract", "digits"), ("analyse", "byol_neighbours")):
        seen = read_by(without, kind, key)
        assert effective(seen.datasets)["digits"]["expect"] is None
        with pytest.raises(ValueError, match=r"datasets\.digits\.expect: left out"):
            seen.expectations("digits")


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_options_of_every_stage_are_json(path):
    whole = load_study(path)
    for kind in KINDS:
        for key in keys(whole, kind):
            options = effective(read_by(whole, kind, key))
            assert json.loads(json.dumps(options)) == options


def test_options_have_the_defaults_that_the_file_leaves_out_and_what_their_class_derives(shipped):
    options = effective(read_by(shipped, "report", ""))
    assert options["runs"]["byol"]["optimizer"]["learning_rate_end"] == 0.0
    assert options["runs"]["byol"]["backbone"]["summary"] == "1·1·1 basic, width 8"
    assert options["analyse"]["byol_neighbours"]["analysis"]["headline"] == "same_class_embedding"
    assert "modifiable" not in options["runs"]["byol"]["method"]


@pytest.mark.parametrize(
    ("kind", "key", "packages"),
    [
        ("fetch", "digits", {"sources": {"digits"}}),
        ("pretrain", "co_byol", {"methods": {"byol"}, "modifiers": {"co"}, "backbones": {"rf_resnet"}}),
        ("corrupt", "random", {"backbones": {"resnet"}, "corruptions": {"gaussian_noise", "defocus_blur"}}),
        ("transfer", "byol_digits", {"tasks": {"linear"}, "backbones": {"resnet"}}),
        ("export", "byol_onnx", {"backbones": {"resnet"}}),
        ("analyse", "byol_neighbours", {"analyses": {"neighbours"}, "methods": {"byol"}, "modifiers": {"none"}}),
    ],
)
def test_implementations_are_those_that_the_entry_and_its_run_name(shipped, kind, key, packages):
    named = implementations(read_by(shipped, kind, key))
    assert {package: named[package] for package in packages} == packages
