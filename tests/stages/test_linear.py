import json
from contextlib import chdir
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import whole_in_parts.results
from stages.extract import extract
from stages.linear import linear
from whole_in_parts.config.study import Study
from whole_in_parts.evaluation import crops_probe, features, linear_probe, logistic_probe
from whole_in_parts.evaluation.probed_backbone import CLASSIFIERS
from whole_in_parts.failure import Failure
from whole_in_parts.report.asked import expected_metrics
from whole_in_parts.report.columns import columns
from whole_in_parts.results import result_dir

CPU = torch.device("cpu")
NAMES = ["global", "patch", "layer_2"]


def changed(small: Study, **options: object) -> Study:
    """The small study, with its probe changed."""
    content = small.model_dump()
    return Study.model_validate(content | {"linear": content["linear"] | options})


@pytest.fixture(scope="module")
def several(small, results) -> Path:
    """A place in which three representations of the run are extracted."""
    folder = results.parent / "several"
    with chdir(results):
        directory = folder / result_dir("extract", "supervised")
        directory.mkdir(parents=True)
        study = Study.model_validate(small.model_dump() | {"extract": {"representations": NAMES}})
        extract(study, "supervised", directory)
    return folder


def written(directory: Path) -> dict[str, float]:
    return json.loads((directory / "metrics.json").read_text())


def test_linear_writes_the_predictions_whose_accuracy_it_reports(built, claim):
    directory = result_dir("linear", "supervised")
    rows = pq.read_table(directory / "predictions.parquet").to_pydict()
    test = features.read(result_dir("extract", "supervised") / "test.arrow")
    right = [label == predicted for label, predicted in zip(rows["label"], rows["predicted"], strict=True)]
    assert written(directory) == {"top1": round(100 * sum(right) / len(right), 4)}
    claim("top1", written(directory)["top1"], above=80)
    assert rows["key"] == test.keys
    layer = linear_probe.load(directory / "classifier.safetensors", CPU)
    assert layer(test.features_ND).argmax(1).tolist() == rows["predicted"]


def test_linear_is_the_same_each_time(small, built, tmp_path):
    linear(small, "supervised", tmp_path)
    for file in result_dir("linear", "supervised").iterdir():
        assert file.read_bytes() == (tmp_path / file.name).read_bytes(), file.name


def test_each_representation_is_probed_by_each_share_of_the_labels(small, several, built, tmp_path, monkeypatch, claim):
    monkeypatch.chdir(several)
    study = changed(small, labels=[100, 10, 1])
    linear(study, "supervised", tmp_path)
    metrics, rows = written(tmp_path), pq.read_table(tmp_path / "predictions.parquet").to_pydict()
    ends = [f"{of}{by}" for of in ("", "_patch", "_layer_2") for by in ("", "_labels_10", "_labels_1")]
    assert list(metrics) == [f"top1{end}" for end in ends]
    asked = Study.model_validate(study.model_dump() | {"extract": {"representations": NAMES}})
    assert expected_metrics(asked, "byol", "linear") == list(metrics)
    assert [column.metric for column in columns(asked) if column.kind == "linear"] == list(metrics)
    assert list(rows) == ["key", "label", *[f"predicted{end}" for end in ends]]
    claim("top1 by 1 %", metrics["top1_labels_1"], above=20)
    train, test = features.read_splits(result_dir("extract", "supervised"))
    for percent, end in ((100, ""), (10, "_labels_10"), (1, "_labels_1")):
        layer = linear_probe.train(linear_probe.label_fraction(train, percent), 10, study.linear)
        assert layer(test.features_ND).argmax(1).tolist() == rows[f"predicted{end}"]
    assert rows["predicted_layer_2"] != rows["predicted"]
    assert metrics["top1_patch"] == metrics["top1"]  # nothing follows the pooling of a plain ResNet
    kept = (tmp_path / "classifier.safetensors").read_bytes()
    assert kept == (built / result_dir("linear", "supervised") / "classifier.safetensors").read_bytes()


def test_logistic_regression_takes_the_place_of_sgd_and_tells_its_penalty(small, built, tmp_path, monkeypatch, claim):
    weights = (1e-3, 1.0, 1e6)
    monkeypatch.setattr(logistic_probe.fit, "__defaults__", (weights,))
    linear(changed(small, solver="lbfgs"), "supervised", tmp_path)
    metrics = written(tmp_path)
    assert list(metrics) == ["top1", "penalty"]
    assert metrics["penalty"] in weights[:2]
    claim("top1 less that by SGD", metrics["top1"] - written(result_dir("linear", "supervised"))["top1"], above=-10)


def test_a_probe_on_crops_stands_beside_the_others_and_leaves_them_as_they_are(small, built, tmp_path, monkeypatch):
    monkeypatch.setattr(whole_in_parts.results, "SCRATCH", tmp_path / "scratch")
    crops = {"epochs": 1, "batch_size": 64, "representations": ["global", "layer_2"], "learning_rates": [0.1, 1.0]}
    study = changed(small, crops=crops)
    directory = tmp_path / "result"
    directory.mkdir()
    linear(study, "supervised", directory)
    metrics = written(directory)
    before = written(result_dir("linear", "supervised"))
    assert {name: value for name, value in metrics.items() if not name.startswith("crops_")} == before
    assert set(expected_metrics(study, "byol", "linear")) <= set(metrics)
    shown = [column.metric for column in columns(study) if column.kind == "linear"]
    assert shown == ["top1", "crops_top1", "crops_top1_layer_2"]

    rows = pq.read_table(directory / "predictions.parquet").to_pydict()
    right = np.mean(np.equal(rows["predicted_crops"], rows["label"]))
    assert metrics["crops_top1"] == round(100 * float(right), 4)
    layer = linear_probe.load(directory / CLASSIFIERS["crops"], CPU)
    test = features.read(result_dir("extract", "supervised") / "test.arrow")
    assert np.mean(np.equal(layer(test.features_ND).argmax(1).numpy(), rows["predicted_crops"])) > 0.99


@pytest.mark.parametrize("kind", ["corrupt", "mask", "attack"])
@pytest.mark.parametrize("crops", [None, {"representations": ["patch"]}], ids=["no crops", "no global"])
def test_an_evaluation_that_names_a_classifier_that_nothing_trains_is_refused(small, kind, crops):
    content = small.model_dump()
    content["linear"]["crops"] = crops
    content[kind]["classifier"] = "crops"
    with pytest.raises(ValueError, match=rf"{kind}\.classifier: crops needs a probe on crops of the global"):
        Study.model_validate(content)


def test_a_representation_that_the_backbone_lacks_is_refused_before_the_crops(small, built, tmp_path):
    with pytest.raises(Failure, match=r"linear\.crops\.representations: the backbone has no class_tokens_4"):
        linear(changed(small, crops={"representations": ["class_tokens_4"]}), "supervised", tmp_path)


def test_a_share_of_the_labels_that_is_no_sample_of_a_class_is_refused(small, built, tmp_path, monkeypatch):
    folder = result_dir("extract", "supervised")
    train, test = features.read_splits(folder)
    some = slice(0, 200)
    short = features.Features(train.keys[some], train.labels_N[some], train.features_ND[some])
    monkeypatch.setattr(features, "read_splits", lambda *_: (short, test))
    with pytest.raises(Failure, match=r"linear\.labels: 1 % of the \d+ training samples with label \d is not"):
        linear(changed(small, labels=[1, 100]), "supervised", tmp_path)


def test_a_share_of_the_labels_that_is_too_small_is_refused_before_the_crops(small, built, tmp_path, monkeypatch):
    monkeypatch.setattr(features, "read_labels", lambda _: np.repeat([0, 1], [100, 3]))
    monkeypatch.setattr(crops_probe, "fit", lambda *_: pytest.fail("a probe was trained"))
    with pytest.raises(Failure, match=r"linear\.labels: 10 % of the 3 training samples with label 1 is not one sample"):
        linear(changed(small, labels=[10, 100], crops={}), "supervised", tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": [1, 10]}, "linear.labels\n.*100 is to be among them"),
        ({"labels": [10, 100, 10]}, "linear.labels\n.*named more than once: 10"),
        ({"labels": [0, 100]}, r"linear.labels.0\n.*greater than 0"),
        ({"labels": [100, 101]}, r"linear.labels.1\n.*less than or equal to 100"),
        ({"solver": "newton"}, "linear.solver\n.*'sgd' or 'lbfgs'"),
        ({"schedule": "constant"}, "linear.schedule\n.*'cosine' or 'steps'"),
    ],
    ids=str,
)
def test_a_probe_that_makes_no_sense_is_refused_when_the_study_is_read(small, options, message):
    with pytest.raises(ValueError, match=message):
        changed(small, **options)
