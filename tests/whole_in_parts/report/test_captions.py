"""What the captions of the figures say."""

from pathlib import Path

import pytest

from tests.fake_results import BYOL, change, fill, made, page, runs, study
from whole_in_parts.config.evaluations import AttackSetting, Robustness
from whole_in_parts.config.study import Study
from whole_in_parts.report import captions

WEAK = AttackSetting(epsilon=0.01, step=0.025, iterations=5)
STRONG = AttackSetting(epsilon=0.03, step=0.25, iterations=20, random_start=True, restarts=5)
CLEAN = AttackSetting(epsilon=0, step=1, iterations=1)


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A study whose results are made up in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    some = study(runs=runs("byol", method=BYOL, seeds=2) | runs("random", seeds=2, method={"name": "random"}, epochs=0))
    fill(some)
    return some


def test_a_setting_is_told_with_its_steps_and_its_random_starts():
    said = captions.attack({"weak": WEAK, "strong": STRONG})
    assert "weak, ε = 0.01 in 5 steps of 0.025 ε; strong, ε = 0.03 in 20 steps of 0.25 ε, from each of 5" in said
    once = AttackSetting(epsilon=0.1, step=1, iterations=1, random_start=True)
    assert captions.in_words("a_b", once) == "a b, ε = 0.1 in 1 step of 1 ε, from a random start"


def test_settings_that_never_reach_epsilon_are_called_weak_beside_those_that_do():
    random = WEAK.model_copy(update={"random_start": True})  # neither: it moves little, from anywhere within epsilon
    said = captions.attack({"weak": WEAK, "none": CLEAN, "random": random, "strong": STRONG})
    assert "Weak, as the settings of the papers are: weak. Their steps move a pixel by at most 0.125 ε in all" in said
    assert said.endswith("Steps that can use all of ε: strong.")
    assert "Weak" not in captions.attack({"strong": STRONG, "none": CLEAN})


def test_the_page_has_the_errors_under_corruption_and_the_mce_where_it_was_measured(plan):
    for run, mean in {"byol": 40.0, "byol_1": 42.0, "random": 60.0, "random_1": 61.0}.items():
        change("corrupt", run, mean_error=mean)
    change("corrupt", "byol", mce=81.25)
    text = page(plan)
    assert "Mean error over the corruptions, in per cent: byol 41.0, random 60.5." in text
    assert "in per cent: byol 81.2." in text  # images of 28 px have no mCE, so none is missing of random


def test_intervals_are_drawn_and_said_to_be(plan):
    before = made(plan, "before")
    assert (
        "Pale bars are 95 % intervals of a run, by the number of its images; the classifier is the linear probe."
        in (before / "index.html").read_text()
    )
    change("attack", "byol", weak_low=1.0)
    after = made(plan, "after")
    name = "figures/images_attacks.svg"
    assert (before / name).read_bytes() != (after / name).read_bytes()


@pytest.mark.parametrize(("solver", "said"), [("sgd", "after 5 epochs"), ("lbfgs", "by logistic regression")])
def test_the_page_says_how_the_probe_was_trained(plan, solver, said):
    content = plan.model_dump()
    text = page(Study.model_validate(content | {"linear": content["linear"] | {"solver": solver}}))
    assert f"linear probe,\n{said}, and of" in text


def test_the_figures_say_which_probe_was_attacked_and_corrupted():
    assert captions.classifier(Robustness(subset=10)) == "the linear probe"
    assert captions.classifier(Robustness(subset=10, classifier="crops")) == "the linear probe trained on random crops"
