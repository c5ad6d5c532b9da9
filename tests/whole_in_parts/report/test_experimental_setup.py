"""The experimental setup says what was done, in the words and numbers of the study."""

import json
import shutil
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.fake_results import BYOL, contract, fill, made, runs, save, study
from whole_in_parts.config.study import Study
from whole_in_parts.report import experimental_setup, findings
from whole_in_parts.results import result_dir

ROOT = Path(__file__).parents[3]


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A study whose results are made up in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    some = study()
    fill(some)
    return some


def setup(plan: Study) -> str:
    return experimental_setup.markdown(findings.find(plan))


@pytest.mark.parametrize(
    "said",
    [
        "images (digits) has 1,000 train and 200 test images of 10 classes.",
        "resnet (1·1·1 basic, width 16, 308,976 parameters) at 28 px is that of all groups.",
        "byol: byol (projector [64, 32], momentum [0.9, 1], predictor 64).",
        "co_byol: byol + co (projector [64, 32], momentum [0.9, 1], predictor 64; weight 0.2, ",
        "All that are trained: images, train, for 2 epochs (64 steps), in float32 and batches of 64 images, by sgd at "
        "a peak learning rate of 0.05 (learning rate 0.2, ",
        "Both views of all that are trained: crop scale [0.3, 1], ",
        "Linear probe: solver sgd, schedule cosine, epochs 5, batch size 64, learning rate 0.1, weight decay 0, ",
        "kNN: neighbours [20, 5], temperature 0.07, ",
        "the linear probe on 200 test images: gaussian noise and defocus blur, each at five severities.",
        "50, 60, 70, 80 and 90 % of the local representations dropped.",
        "probe on 100 test images: weak, ε = 0.01 in 5 steps of 0.1 ε; strong, ε = 0.03 in 10 steps of 0.25 ε",
        "Transfer to digits, linear (",
        "Analysis of 100 images of digits, similarity (pairs 100).",
        "Seeds of random, byol and co_byol: 0, 1 and 2. Seeds of supervised: 0.",
        f"torch {version('torch')}, torchvision {version('torchvision')}.",
    ],
)
def test_what_was_done_is_said_with_its_numbers(plan, said):
    assert said in setup(plan)


def test_groups_that_differ_in_their_training_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = study(runs=runs("byol", method=BYOL) | runs("byol_long", method=BYOL, epochs=5, batch_size=128))
    fill(plan)
    text = setup(plan)
    assert "All groups: byol (" in text
    assert "byol: images, train, for 2 epochs (64 steps), in float32 and batches of 64 images" in text
    assert "byol_long: images, train, for 5 epochs (160 steps), in float32 and batches of 128 images" in text


def test_what_a_study_does_not_do_is_not_said(plan):
    content = plan.model_dump() | {"linear": plan.linear.model_dump() | {"solver": "lbfgs"}}
    for name in ("knn", "corrupt", "mask", "attack"):
        del content[name]
    for kind in ("transfer", "analyse"):
        shutil.rmtree(result_dir(kind))
    text = setup(Study.model_validate(content | {"transfer": {}, "analyse": {}}))
    assert "Linear probe: solver lbfgs, labels [100]." in text
    for word in ("kNN", "Corruptions", "masking", "PGD", "Transfer", "Analysis"):
        assert word not in text


def test_images_are_counted_as_they_were_packed_and_as_they_are_expected_where_that_is_not_known(plan):
    save("contract", "digits", "contract.json", "{")
    packed = contract("images")
    packed["splits"]["train"]["samples"] = 998
    save("contract", "images", "contract.json", json.dumps(packed))
    text = setup(plan)
    assert "images (digits) has 998 train and 200 test images of 10 classes." in text
    assert "digits has 1,000 train and 200 test images of 10 classes." in text


def test_the_page_and_methods_md_say_the_same(plan):
    text = (made(plan) / "methods.md").read_text()
    shown = (Path("report") / "index.html").read_text()
    assert text.startswith("# Experimental setup\n\nData. ")
    for paragraph in text.split("\n\n")[1:]:
        assert paragraph.strip().partition(". ")[2] in shown


def test_the_version_is_that_of_the_project():
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert content["project"]["version"] == experimental_setup.PROJECT_VERSION
