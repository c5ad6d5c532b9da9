import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from stages import corrupt as stage
from stages.corrupt import (
    ALEXNET_ERRORS,
    CorruptedSubset,
    alexnet_errors_apply,
    corrupt,
    iter_subsets,
    predict,
    summarise,
)
from whole_in_parts.config.evaluations import CORRUPTIONS, Robustness
from whole_in_parts.config.study import Study
from whole_in_parts.evaluation.corruption import SEVERITIES
from whole_in_parts.evaluation.corruption import corrupt as apply
from whole_in_parts.evaluation.probed_backbone import eval_inputs
from whole_in_parts.failure import Failure

CPU = torch.device("cpu")
NAMES = ["gaussian_noise", "defocus_blur"]


def changed(small: Study, **options: object) -> Study:
    return small.model_copy(update={"corrupt": small.corrupt.model_copy(update=options)})


def released_in(folder: Path, study: Study) -> Study:
    """The study, with a folder of released images."""
    dataset = study.datasets["digits"].model_copy(update={"corrupted": str(folder)})
    return study.model_copy(update={"datasets": {"digits": dataset}})


@pytest.mark.parametrize("name", NAMES)
def test_predictions_do_not_depend_on_the_batches(small, built, monkeypatch, name):
    given = eval_inputs(small, "supervised", Robustness(subset=200), CPU)
    task = CorruptedSubset(name, 5, given.images, given.indices, True)
    whole_N = predict(given.model, task, CPU)
    monkeypatch.setattr("whole_in_parts.evaluation.features.BATCH", 7)
    assert torch.equal(predict(given.model, task, CPU), whole_N)


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_corrupted_images_are_given_to_the_model(small, built, name):
    given = eval_inputs(small, "supervised", Robustness(subset=200), CPU)
    images_BCHW = apply(name, given.images[given.indices].float() / 255, 5, given.indices)
    task = CorruptedSubset(name, 5, given.images, given.indices, True)
    assert torch.equal(predict(given.model, task, CPU), given.model(images_BCHW).argmax(1))


@torch.no_grad()
def test_clean_images_are_given_to_the_model_as_they_are(small, built):
    given = eval_inputs(small, "supervised", Robustness(subset=200), CPU)
    clean = next(iter_subsets(given, small.corrupt, None))
    expected_N = given.model(given.images[given.indices].float() / 255).argmax(1)
    assert torch.equal(predict(given.model, clean, CPU), expected_N)


def test_the_stage_reports_each_severity_and_the_means_over_severities_and_corruptions(small, built, tmp_path):
    corrupt(small, "supervised", tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    each = [f"{name}_{n}" for name in NAMES for n in SEVERITIES]
    assert list(metrics) == ["clean", *each[:5], NAMES[0], *each[5:], NAMES[1], "mean", "mean_error", "samples"]
    for name in NAMES:
        assert metrics[name] == pytest.approx(np.mean([metrics[f"{name}_{n}"] for n in SEVERITIES]), abs=1e-4)
    assert metrics["mean"] == pytest.approx(np.mean([metrics[name] for name in NAMES]), abs=1e-4)
    assert metrics["mean_error"] == pytest.approx(100 - metrics["mean"])


def test_the_predictions_of_each_sample_give_the_accuracies(small, built, tmp_path):
    corrupt(small, "supervised", tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    frame = pq.read_table(tmp_path / "predictions.parquet").to_pandas()
    assert list(frame) == ["key", "label", "corruption", "severity", "predicted"]
    right = frame["label"] == frame["predicted"]
    for (name, severity), some in right.groupby([frame["corruption"], frame["severity"]], observed=True):
        assert len(some) == metrics["samples"]
        assert 100 * some.mean() == pytest.approx(metrics[f"{name}_{severity}" if severity else "clean"], abs=1e-4)
    assert frame.groupby("key").size().eq(1 + 5 * len(NAMES)).all()


def test_a_study_without_corruptions_has_the_clean_accuracy_alone(small, built, tmp_path):
    corrupt(changed(small, corruptions=[]), "supervised", tmp_path)
    assert set(json.loads((tmp_path / "metrics.json").read_text())) == {"clean", "samples"}


@pytest.fixture
def released(small, built, tmp_path):
    """The test images of a subset, uncorrupted, laid out as a released set."""
    given = eval_inputs(small, "supervised", Robustness(subset=100), CPU)
    for number, image_CHW in zip(given.indices, given.images[given.indices], strict=True):
        for severity in SEVERITIES:
            place = tmp_path / "set" / "fog" / str(severity) / str(given.images.shards.labels[number])
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image_CHW[0].numpy()).save(place / f"{given.images.shards.keys[number]}.png")
    return tmp_path / "set"


def test_images_are_read_from_a_folder_and_nothing_is_generated(small, released, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "apply", None)
    corrupt(released_in(released, changed(small, corruptions=["fog"], subset=1000)), "supervised", tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    frame = pq.read_table(tmp_path / "predictions.parquet").to_pandas()
    clean = frame[frame["corruption"] == "clean"].set_index("key")["predicted"]
    read = frame[frame["severity"] == 4]
    assert metrics["samples"] == len(read) < len(clean)
    assert len({metrics[f"fog_{n}"] for n in SEVERITIES}) == 1
    assert [clean[key.split("/")[1]] for key in read["key"]] == read["predicted"].tolist()


def test_of_a_folder_too_a_subset_is_taken(small, released, tmp_path):
    corrupt(released_in(released, changed(small, corruptions=["fog"], subset=50)), "supervised", tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text())["samples"] == pytest.approx(50, abs=5)


def test_arrays_are_read_as_twins_of_the_clean_images_of_the_subset(small, built, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "apply", None)
    given = eval_inputs(small, "supervised", Robustness(subset=100), CPU)
    order = np.argsort(np.array(given.images.shards.keys))
    pixels_NHWC = given.images[order].permute(0, 2, 3, 1).expand(-1, -1, -1, 3).numpy()
    np.save(tmp_path / "fog.npy", np.tile(pixels_NHWC, (5, 1, 1, 1)))
    np.save(tmp_path / "labels.npy", np.tile(given.images.shards.labels[order], 5))
    (tmp_path / "out").mkdir()
    corrupt(released_in(tmp_path, changed(small, corruptions=["fog"], subset=100)), "supervised", tmp_path / "out")
    frame = pq.read_table(tmp_path / "out" / "predictions.parquet").to_pandas()
    clean = frame[frame["severity"] == 0].set_index("key")["predicted"]
    for severity in SEVERITIES:
        assert frame[frame["severity"] == severity].set_index("key")["predicted"].equals(clean)


def test_a_folder_that_lacks_something_is_refused_before_any_image_is_read(small, released, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "predict", None)
    with pytest.raises(Failure, match=r"corrupted: there is no folder .*/snow;"):
        corrupt(released_in(released, changed(small, corruptions=["fog", "snow"])), "supervised", tmp_path)


def test_mce_is_relative_to_alexnet_where_its_errors_are_of_the_same_images():
    thousand = [str(number) for number in range(1000)]
    assert [
        alexnet_errors_apply(thousand, 224),
        alexnet_errors_apply(thousand, 64),
        alexnet_errors_apply(thousand[:100], 224),
    ] == [
        True,
        False,
        False,
    ]
    assert sorted(ALEXNET_ERRORS) == CORRUPTIONS
    as_alexnet = {(name, n): 100 - error for name, error in ALEXNET_ERRORS.items() for n in SEVERITIES}
    found = summarise(as_alexnet | {("clean", 0): 56.5}, CORRUPTIONS, with_mce=True)
    assert found["mce"] == 100
    assert found["mean_error"] == pytest.approx(np.mean(list(ALEXNET_ERRORS.values())), abs=1e-4)
    halved = {key: 100 - (100 - value) / 2 for key, value in as_alexnet.items()}
    assert summarise(halved | {("clean", 0): 80.0}, ["fog", "snow"], with_mce=True)["mce"] == 50
    assert "mce" not in summarise(halved | {("clean", 0): 80.0}, CORRUPTIONS, with_mce=False)
