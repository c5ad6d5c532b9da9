import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from stages import knn as stage
from stages.extract import extract
from stages.knn import knn
from whole_in_parts.config.study import Study
from whole_in_parts.evaluation import features, linear_probe
from whole_in_parts.evaluation.nearest_neighbours import nearest, vote
from whole_in_parts.failure import Failure
from whole_in_parts.report.asked import expected_metrics
from whole_in_parts.report.columns import columns
from whole_in_parts.results import result_dir


def test_the_stage_reports_an_accuracy_for_each_number_of_neighbours(small, built, tmp_path, claim):
    knn(small, "supervised", tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert list(metrics) == ["top1_k5", "top1_k20"]
    for name, accuracy in metrics.items():
        claim(name, accuracy, above=80)


def test_each_representation_that_was_extracted_has_its_neighbours(small, built, tmp_path, monkeypatch, claim):
    study = Study.model_validate(small.model_dump() | {"extract": {"representations": ["layer_1", "global"]}})
    directory = tmp_path / result_dir("extract", "supervised")
    directory.mkdir(parents=True)
    extract(study, "supervised", directory)
    monkeypatch.chdir(tmp_path)
    knn(study, "supervised", Path())
    metrics = json.loads(Path("metrics.json").read_text())
    assert list(metrics) == ["top1_k5_layer_1", "top1_k20_layer_1", "top1_k5", "top1_k20"]
    claim("top1_k5 less that of the first layer", metrics["top1_k5"] - metrics["top1_k5_layer_1"], above=-12)
    claim("top1_k5 of the first layer", metrics["top1_k5_layer_1"], above=20)
    assert expected_metrics(study, "byol", "knn") == list(metrics)
    assert [column.metric for column in columns(study) if column.kind == "knn"] == list(metrics)


def asked(small: Study, **options: object) -> Study:
    """The small study, with its neighbours changed."""
    content = small.model_dump()
    return Study.model_validate(content | {"knn": content["knn"] | options})


def test_each_share_of_the_labels_votes_by_itself_and_what_each_says_of_a_sample_gives_its_accuracy(
    small, built, tmp_path, claim
):
    study = asked(small, labels=[1, 10, 100], neighbours=[5, 8])
    knn(study, "supervised", tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    ends = [f"k{k}{by}" for by in ("_labels_1", "_labels_10", "") for k in (5, 8)]
    assert list(metrics) == [f"top1_{end}" for end in ends]
    assert expected_metrics(study, "byol", "knn") == list(metrics)
    assert [column.metric for column in columns(study) if column.kind == "knn"] == list(metrics)
    claim("top1_k5 by 1 %", metrics["top1_k5_labels_1"], above=20)
    rows = pq.read_table(tmp_path / "predictions.parquet").to_pydict()
    train, test = features.read_splits(result_dir("extract", "supervised"))
    some = linear_probe.label_fraction(train, 1)
    votes_NC = vote(*nearest(some.features_ND, some.labels_N, [test.features_ND], 5), study.knn.temperature)
    assert rows["predicted_k5_labels_1"] == votes_NC.argmax(1).tolist() != rows["predicted_k5"]
    assert list(rows) == ["key", "label", *[f"predicted_{end}" for end in ends]]
    assert rows["key"] == features.read(result_dir("extract", "supervised") / "test.arrow").keys
    for end in ends:
        right = [label == predicted for label, predicted in zip(rows["label"], rows[f"predicted_{end}"], strict=True)]
        assert metrics[f"top1_{end}"] == round(100 * sum(right) / len(right), 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"neighbours": [5, 2000]}, r"knn\.neighbours: 2000 of 1347 training features$"),
        (
            {"neighbours": [5, 20], "labels": [100, 1]},
            r"knn\.neighbours: 20 of \d\d training features, which is what 1 % of the labels leave$",
        ),
    ],
    ids=str,
)
def test_more_neighbours_than_may_vote_are_refused_before_any_is_looked_for(
    small, built, tmp_path, monkeypatch, options, message
):
    monkeypatch.setattr(stage, "votes", None)
    with pytest.raises(Failure, match=message):
        knn(asked(small, **options), "supervised", tmp_path)


def test_a_share_that_is_no_sample_of_a_class_is_refused_by_the_key_of_the_neighbours(
    small, built, tmp_path, monkeypatch
):
    train, test = features.read_splits(result_dir("extract", "supervised"))
    short = features.Features(train.keys[:200], train.labels_N[:200], train.features_ND[:200])
    monkeypatch.setattr(features, "read_splits", lambda *_: (short, test))
    with pytest.raises(Failure, match=r"knn\.labels: 1 % of the \d+ training samples with label \d is not one"):
        knn(asked(small, labels=[1, 100]), "supervised", tmp_path)
