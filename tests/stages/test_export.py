"""A run is exported with the probe that it was evaluated with."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml

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


def as_program(study: Study, place: Path, root: Path) -> subprocess.CompletedProcess[str]:
    """What the stage does as a program, beside the results of a run."""
    (place / "results").mkdir(parents=True)
    for kind in ("pretrain", "linear"):
        shutil.copytree(result_dir(kind), place / result_dir(kind))
    (place / "params.yaml").write_text(yaml.safe_dump(study.model_dump(mode="json")))
    search = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "stages.export", "asked"]
    environment = os.environ | {"PYTHONPATH": search}
    return subprocess.run(command, cwd=place, env=environment, text=True, capture_output=True, check=False)


def test_the_program_says_nothing_and_its_result_is_in_its_place(small, built, tmp_path, root):
    done = as_program(asked(small), tmp_path / "place", root)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    made = {file.name for file in (tmp_path / "place" / result_dir("export", "asked")).iterdir()}
    assert made == {"model.onnx", "export.json"}


def test_a_program_that_fails_says_one_line_and_leaves_nothing(small, built, tmp_path, root):
    asked_for_another = asked(small, run="random")
    done = as_program(asked_for_another, tmp_path / "place", root)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("stages.export asked: error: results/pretrain/random/model: no model that can be loaded")
    assert not (tmp_path / "place" / result_dir("export", "asked")).exists()


def test_a_study_that_exports_what_it_lacks_is_refused(small):
    with pytest.raises(ValueError, match=r"export\.asked\.run: no run is called none; there are: "):
        asked(small, run="none")
    with pytest.raises(ValueError, match=r"export\.asked\.format: torchvision has no resnet .*\(run: supervised\)"):
        asked(small, format="torchvision")
