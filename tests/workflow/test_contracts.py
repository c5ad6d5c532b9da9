"""Models, features and metrics are held to contracts, too."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from whole_in_parts.config.study import Study
from whole_in_parts.data.expectations import judge
from whole_in_parts.evaluation import features
from workflow.contracts import contracts


@pytest.fixture
def study(small, results, tmp_path, monkeypatch) -> Study:
    """The small study with the results of one run, which may be changed."""
    monkeypatch.chdir(shutil.copytree(results, tmp_path / "study", symlinks=True))
    return small


def broken(study: Study) -> set[tuple[str, str]]:
    """The expectations that are broken, with the result."""
    verdicts = judge(contracts(study))
    assert len(verdicts) >= 10
    return {(verdict["split"], verdict["expectation"]) for verdict in verdicts if not verdict["held"]}


def rewrite(file: Path, change) -> None:
    """Write the features of a split anew, changed."""
    kept = features.read(file)
    keys, values_ND = change(kept.keys, kept.features_ND.clone())
    features.write(keys, kept.labels_N, [{"global": values_ND}], file)


def test_what_was_built_holds(study):
    assert broken(study) == set()


def test_weights_that_are_not_finite_are_found(study):
    file = Path("results/pretrain/supervised/model/model.safetensors")
    weights = load_file(file)
    next(tensor for tensor in weights.values() if tensor.is_floating_point()).view(-1)[0] = torch.nan
    save_file(weights, file)
    assert broken(study) == {("results/pretrain/supervised/model", "weights are finite")}


def test_features_that_are_not_finite_constant_or_of_other_images_are_found(study):
    file = Path("results/extract/supervised/train.arrow")

    def spoil(keys, values_ND):
        values_ND[3, 0] = torch.inf
        values_ND[:, 1:] = 1.0
        return [keys[1], keys[0], *keys[2:]], values_ND

    rewrite(file, spoil)
    assert broken(study) == {
        ("results/extract/supervised/train", "features are those of the index, in its order"),
        ("results/extract/supervised/train global", "features are finite"),
        ("results/extract/supervised/train global", "features vary"),
    }


def test_splits_of_different_dimension_are_found(study):
    rewrite(
        Path("results/extract/supervised/test.arrow"), lambda keys, values_ND: (keys, values_ND[:, 1:].contiguous())
    )
    assert ("results/extract/supervised global", "both splits have as many features") in broken(study)


def test_metrics_that_are_missing_or_out_of_range_are_found(study):
    file = Path("results/linear/supervised/metrics.json")
    file.write_text(json.dumps({"top1": 101.0}))
    assert broken(study) == {("results/linear/supervised", "accuracies are within their range")}
    file.write_text("{}")
    assert broken(study) == {("results/linear/supervised", "every metric that is asked for is there")}
