"""A run is exported with the probe that it was evaluated with."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from stages.export import export
from whole_in_parts.config.study import Study
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.evaluation import linear_probe
from whole_in_parts.evaluation.probed_backbone import CLASSIFIERS
from whole_in_parts.export import onnx
from whole_in_parts.failure import Failure
from whole_in_parts.results import result_dir


def asked(small: Study, **changes: object) -> Study:
    """The small study, with an export of its own."""
    entry = {"run": "supervised", "output": "logits"}
    return Study.model_validate(small.model_dump() | {"export": {"asked": entry | changes}})


def test_the_classes_of_the_test_images_are_those_that_the_probe_predicts(small, built, tmp_path):
    export(asked(small), "asked", tmp_path)
    images = Images(Shards(result_dir("shard", "digits") / "test"), 8, 1)
    logits_NK = onnx.run(tmp_path / "model.onnx", images[np.arange(len(images))].float() / 255)
    table = pq.read_table(result_dir("linear", "supervised") / "predictions.parquet").to_pydict()
    assert table["key"] == images.shards.keys
    assert logits_NK.argmax(1).tolist() == table["predicted"]
    assert json.loads((tmp_path / "export.json").read_text())["input"]["shape"] == ["batch", 1, 8, 8]


def test_without_a_probe_logits_are_one_error_and_features_are_exported(small, built, tmp_path, monkeypatch):
    monkeypatch.setitem(CLASSIFIERS, "features", "none.safetensors")
    with pytest.raises(Failure, match="there is no linear classifier; make it with: dvc repro linear@supervised"):
        export(asked(small), "asked", tmp_path)
    assert not [*tmp_path.iterdir()]
    export(asked(small, output="features"), "asked", tmp_path)
    width = linear_probe.load(result_dir("linear", "supervised") / "classifier.safetensors", torch.device("cpu"))
    described = json.loads((tmp_path / "export.json").read_text())
    assert described["output"] == {"name": "features", "shape": ["batch", width.in_features]}


def test_a_study_that_exports_what_it_lacks_is_refused(small):
    with pytest.raises(ValueError, match=r"export\.asked\.run: no run is called none; there are: "):
        asked(small, run="none")
    with pytest.raises(ValueError, match=r"export\.asked\.format: torchvision has no resnet .*\(run: supervised\)"):
        asked(small, format="torchvision")
