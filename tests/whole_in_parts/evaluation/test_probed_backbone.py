import shutil

import numpy as np
import pytest
import torch
from torch import nn

from whole_in_parts.config.evaluations import Robustness
from whole_in_parts.data.shards import Shards
from whole_in_parts.evaluation import linear_probe
from whole_in_parts.evaluation.probed_backbone import eval_inputs
from whole_in_parts.failure import Failure
from whole_in_parts.results import result_dir

CPU = torch.device("cpu")


def test_a_subset_holds_each_class_by_its_share_and_is_always_the_same(small, built, shards):
    first, second = (eval_inputs(small, "supervised", Robustness(subset=150), CPU) for _ in range(2))
    assert first.indices.tolist() == second.indices.tolist()
    labels = Shards(shards / "test").labels
    assert first.labels_N.tolist() == labels[first.indices].tolist()
    np.testing.assert_array_equal(np.bincount(first.labels_N), np.round(np.bincount(labels) / 3))


def test_the_model_gives_the_logits_of_probe_on_backbone_and_learned_something(small, built, claim):
    given = eval_inputs(small, "supervised", Robustness(subset=10**6), CPU)
    assert len(given.indices) == 450
    assert not given.model.training
    images_BCHW = given.images[given.indices].float() / 255
    with torch.no_grad():
        logits_BK = given.model(images_BCHW)
        expected_BK = given.model.layer(given.model.backbone(images_BCHW).global_BD)
    assert torch.equal(logits_BK, expected_BK)
    claim("accuracy", (logits_BK.argmax(1) == given.labels_N).double().mean().item(), above=0.8)


def test_a_subset_of_no_image_of_any_class_is_refused_by_the_number_asked_for(small, built):
    with pytest.raises(Failure, match="subset: 4 of 450 test images"):
        eval_inputs(small, "supervised", Robustness(subset=4), CPU)


def test_a_subset_of_one_class_alone_is_refused_before_any_model_is_read(small, built, shards, monkeypatch):
    monkeypatch.setattr("whole_in_parts.evaluation.probed_backbone.saved_backbone.load", None)
    monkeypatch.setattr(
        "whole_in_parts.evaluation.probed_backbone.stratified", lambda labels, *_: np.flatnonzero(labels == 3)[:2]
    )
    with pytest.raises(Failure, match="subset: 20 of 450 test images are all of class 3"):
        eval_inputs(small, "supervised", Robustness(subset=20), CPU)


def test_the_classifier_is_the_one_that_the_evaluation_names(small, built, tmp_path, monkeypatch):
    shutil.copytree(built, tmp_path / "copy", symlinks=True)
    monkeypatch.chdir(tmp_path / "copy")
    on_crops = Robustness(subset=150, classifier="crops")
    with pytest.raises(Failure, match=r"classifier_on_crops\.safetensors: there is no linear classifier"):
        eval_inputs(small, "supervised", on_crops, CPU)

    usual = eval_inputs(small, "supervised", Robustness(subset=150), CPU).model.layer
    other = nn.Linear(usual.in_features, 10)
    linear_probe.save(other, result_dir("linear", "supervised") / "classifier_on_crops.safetensors")
    assert torch.equal(eval_inputs(small, "supervised", on_crops, CPU).model.layer.weight, other.weight)
    assert not torch.equal(usual.weight, other.weight)
