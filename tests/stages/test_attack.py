import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import binomtest

from stages import attack as stage
from stages.attack import attack, wilson_interval
from whole_in_parts import results
from whole_in_parts.checkpoints import Checkpoints
from whole_in_parts.config.study import Study
from whole_in_parts.distributed.environment import default_device
from whole_in_parts.evaluation import linear_probe
from whole_in_parts.failure import Failure
from whole_in_parts.results import result_dir

WEAK = {"epsilon": 0.01, "step": 0.025, "iterations": 5}
STRONG = {"epsilon": 0.05, "step": 0.3, "iterations": 5, "random_start": True, "restarts": 3}


def asked(small: Study, **changes: object) -> Study:
    """The small study, with an attack of its own."""
    content = {"settings": {"weak": WEAK, "strong": STRONG}, "subset": 100}
    return Study.model_validate(small.model_dump() | {"attack": content | changes})


def metrics(directory: Path) -> dict[str, float]:
    return json.loads((directory / "metrics.json").read_text())


@pytest.fixture
def scratch(tmp_path, monkeypatch) -> Path:
    """A folder of this test's own for what is not finished."""
    monkeypatch.setattr(results, "SCRATCH", tmp_path / "scratch")
    return tmp_path / "scratch"


def written(study: Study, directory: Path) -> dict[str, bytes]:
    """What the stage leaves in a directory."""
    directory.mkdir()
    attack(study, "supervised", directory)
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def test_each_setting_has_an_accuracy_within_its_interval_and_clean_is_the_accuracy_without_attack(
    small, built, tmp_path, claim
):
    attack(asked(small, subset=10**6), "supervised", tmp_path)
    found = metrics(tmp_path)
    assert list(found) == [f"{n}{end}" for n in ("clean", "weak", "strong") for end in ("", "_low", "_high")] + [
        "samples"
    ]
    for name in ("clean", "weak", "strong"):
        assert found[f"{name}_low"] < found[name] < found[f"{name}_high"]
    claim("weak less strong", found["weak"] - found["strong"], above=0)
    claim("clean less weak", found["clean"] - found["weak"], above=-2)
    assert found["samples"] == 450
    assert found["clean"] == pytest.approx(metrics(result_dir("linear", "supervised"))["top1"], abs=0.5)


def test_the_predictions_are_those_whose_accuracy_is_told(small, built, tmp_path):
    attack(asked(small), "supervised", tmp_path)
    found, rows = metrics(tmp_path), pq.read_table(tmp_path / "predictions.parquet").to_pydict()
    assert list(rows) == ["key", "label", "clean", "weak", "strong"]
    assert len(set(rows["key"])) == found["samples"]
    for name in ("clean", "weak", "strong"):
        right = sum(label == predicted for label, predicted in zip(rows["label"], rows[name], strict=True))
        assert found[name] == round(100 * right / found["samples"], 4)


def test_the_batches_make_no_difference(small, built, tmp_path, monkeypatch):
    whole = written(asked(small), tmp_path / "whole")
    monkeypatch.setattr(stage, "BATCH", 7)
    assert written(asked(small), tmp_path / "parts") == whole


class Killed(BaseException):
    """What a kill is to the stage: nothing that it could catch."""


def kill_in(monkeypatch, batch: int) -> list[int]:
    """Let the stage be killed in its nth batch from here; the list grows with each batch that is begun."""
    begun: list[int] = []

    def predictions(*given):
        begun.append(len(begun))
        if len(begun) > batch:
            raise Killed
        return genuine(*given)

    genuine = stage.predict_under_attack
    monkeypatch.setattr(stage, "predict_under_attack", predictions)
    return begun


def test_an_attack_that_is_killed_twice_goes_on_and_ends_in_the_same_bytes(
    small, built, tmp_path, monkeypatch, scratch
):
    monkeypatch.setattr(stage, "BATCH", 30)  # 4 batches of 3 settings
    expected = written(asked(small), tmp_path / "uninterrupted")
    monkeypatch.setattr(Checkpoints, "due", lambda self: True)
    for number, batches in enumerate((2, 5)):
        with monkeypatch.context() as patch:
            kill_in(patch, batches)
            with pytest.raises(Killed):
                written(asked(small), tmp_path / f"killed {number}")
    begun = kill_in(monkeypatch, 99)
    assert written(asked(small), tmp_path / "last") == expected
    assert len(begun) == 12 - 2 - 5


@pytest.mark.parametrize(
    "changes",
    [{"subset": 101}, {"settings": {"weak": WEAK | {"epsilon": 0.02}}}],
    ids=str,
)
def test_nothing_is_taken_up_that_another_attack_has_left(small, built, tmp_path, monkeypatch, scratch, changes):
    expected = written(asked(small, **changes), tmp_path / "expected")
    monkeypatch.setattr(Checkpoints, "due", lambda self: True)
    with monkeypatch.context() as patch:
        kill_in(patch, 2)
        with pytest.raises(Killed):
            written(asked(small), tmp_path / "killed")
    assert list(scratch.rglob("*.pt"))
    assert written(asked(small, **changes), tmp_path / "other") == expected


def test_what_an_attack_has_left_is_of_its_classifier_alone(small, built, monkeypatch, tmp_path):
    study, cpu = asked(small), default_device()
    before = stage.checkpoint_name(study, "supervised", cpu)
    assert stage.checkpoint_name(study, "supervised", cpu) == before
    genuine = result_dir
    other = tmp_path / "linear"
    other.mkdir()
    (other / "classifier.safetensors").write_bytes(b"another")
    monkeypatch.setattr(stage, "result_dir", lambda kind, key: other if kind == "linear" else genuine(kind, key))
    assert stage.checkpoint_name(study, "supervised", cpu) != before


def test_a_run_without_a_classifier_is_refused_with_how_to_make_it(small, built, tmp_path, monkeypatch):
    genuine = linear_probe.load
    monkeypatch.setattr(linear_probe, "load", lambda file, device: genuine(Path("elsewhere/byol") / file.name, device))
    with pytest.raises(Failure, match=r"there is no linear classifier; make it with: dvc repro linear@byol"):
        attack(asked(small), "supervised", tmp_path)


def test_a_subset_that_is_no_image_of_any_class_is_refused(small, built, tmp_path):
    with pytest.raises(Failure, match="subset: 4 of 450 test images is less than one image of any class"):
        attack(asked(small, subset=4), "supervised", tmp_path)


def test_a_subset_of_one_class_is_refused_by_its_name(small, built, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "whole_in_parts.evaluation.probed_backbone.stratified", lambda labels, *_: np.flatnonzero(labels == 3)[:2]
    )
    with pytest.raises(Failure, match="subset: 100 of 450 test images are all of class 3"):
        attack(asked(small), "supervised", tmp_path)


@pytest.mark.parametrize(("right", "total"), [(0, 10), (10, 10), (1, 500), (333, 500), (45_000, 50_000)])
def test_the_interval_is_wilsons(right, total):
    expected = binomtest(right, total).proportion_ci(0.95, method="wilson")
    assert wilson_interval(right, total) == pytest.approx((100 * expected.low, 100 * expected.high), abs=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weak": WEAK | {"restarts": 2}}, "restarts: 2 from the image itself are the same; add random_start: true"),
        ({"clean": WEAK}, r"settings\.clean: the name of another metric"),
        ({"label": WEAK}, r"settings\.label: the name of another metric"),
        ({"weak": WEAK, "weak_low": STRONG}, r"settings\.weak_low: the name of another metric"),
        ({"weak": WEAK | {"epsilon": -0.1}}, "greater than or equal to 0"),
    ],
    ids=str,
)
def test_a_setting_that_makes_no_sense_is_refused_when_the_study_is_read(small, settings, message):
    with pytest.raises(ValueError, match=message):
        asked(small, settings=settings)
