"""Evaluations by several processes: each image is evaluated once, and the results are those of one process."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from whole_in_parts.evaluation import features
from whole_in_parts.models import saved_backbone

CPU = torch.device("cpu")
STAGES = ("extract", "linear", "corrupt", "mask", "attack")


@pytest.fixture(scope="module")
def study(small, results, tmp_path_factory) -> Path:
    """A place with the pretraining of `supervised`, and a study whose batches and subsets are odd."""
    folder = tmp_path_factory.mktemp("evaluation") / "study"
    shutil.copytree(results, folder, symlinks=True)
    content = json.loads(small.model_dump_json())
    content["runs"] = {"supervised": content["runs"]["supervised"]}
    content["transfer"] = {"finetuned": {"run": "supervised", "dataset": "digits", "task": FINETUNE}}
    content["analyse"] = {}
    content["corrupt"] |= {"corruptions": ["gaussian_noise"], "subset": 200}
    content["mask"] |= {"subset": 100, "rates": [50]}
    content["attack"] |= {"subset": 50}
    content["linear"]["crops"] = {"epochs": 1, "batch_size": 96, "representations": ["global", "patch"]}
    (folder / "params.yaml").write_text(yaml.safe_dump(content))
    return folder


FINETUNE = {"name": "finetune", "labels": 50, "epochs": 2, "batch_size": 96, "learning_rate": 0.02, "weight_decay": 0.0}


def evaluated(study: Path, root: Path, folder: Path, processes: int, stages: tuple[str, ...]) -> Path:
    """The results of the stages, by so many processes that they start themselves."""
    shutil.copytree(study, folder, symlinks=True)
    names = {"PROCESSES_PER_NODE": str(processes), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    for kind in stages:
        key = "finetuned" if kind == "transfer" else "supervised"
        command = [sys.executable, "-m", f"stages.{kind}", key]
        ran = subprocess.run(
            command, cwd=folder, env=os.environ | names, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert ran.returncode == 0, ran.stdout
    return folder / "results"


@pytest.fixture(scope="module")
def alone(study, root, tmp_path_factory) -> Path:
    return evaluated(study, root, tmp_path_factory.mktemp("alone") / "one", 1, (*STAGES, "transfer"))


@pytest.fixture(scope="module")
def shared(study, root, tmp_path_factory) -> Path:
    return evaluated(study, root, tmp_path_factory.mktemp("shared") / "two", 2, (*STAGES, "transfer"))


def rows(file: Path) -> pa.Table:
    return pq.read_table(file).combine_chunks()


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_features_are_those_of_one_process_in_the_order_of_the_images(alone, shared, split):
    for name in features.stored_names(alone / f"extract/supervised/{split}.arrow"):
        one, two = (features.read(folder / f"extract/supervised/{split}.arrow", name) for folder in (alone, shared))
        assert one.keys == two.keys
        assert torch.equal(one.labels_N, two.labels_N)
        torch.testing.assert_close(two.features_ND, one.features_ND, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["corrupt", "attack"])
def test_each_image_is_evaluated_once_and_predicted_as_by_one_process(alone, shared, kind):
    one, two = (rows(folder / kind / "supervised/predictions.parquet") for folder in (alone, shared))
    assert two["key"].to_pylist() == one["key"].to_pylist()
    names = [name for name in one.column_names if name not in ("key", "label", "corruption", "severity")]
    same = [np.mean(np.array(one[name]) == np.array(two[name])) for name in names]
    assert min(same) > 0.97  # an image on the border between two classes may fall on either side


@pytest.mark.parametrize("kind", ["linear", "mask", "corrupt", "attack"])
def test_the_metrics_are_those_of_one_process(alone, shared, kind):
    one, two = (json.loads((folder / kind / "supervised/metrics.json").read_text()) for folder in (alone, shared))
    assert two.keys() == one.keys()
    for name, value in one.items():
        assert two[name] == pytest.approx(value, abs=3), name


def test_a_finetuning_is_that_of_one_process(alone, shared):
    one, two = (
        json.loads((folder / "transfer/finetuned/metrics.json").read_text())["top1"] for folder in (alone, shared)
    )
    assert two == pytest.approx(one, abs=3)
    assert one > 30


@pytest.mark.parametrize("count", [1, 2, 7, 1001])
def test_rows_are_in_the_order_of_the_indices_whatever_their_number(images, count):
    indices = np.arange(count)[::-1] % len(images)

    def labels(batch: np.ndarray, images_BCHW: torch.Tensor) -> torch.Tensor:
        assert len(images_BCHW) == len(batch)
        return torch.from_numpy(images.shards.labels[batch])

    found = torch.cat(list(features.iter_rows(labels, images, indices, CPU, "test")))
    assert torch.equal(found, torch.from_numpy(images.shards.labels[indices]))


def test_what_is_extracted_is_saved_whole(alone):
    backbone, _ = saved_backbone.load(alone / "pretrain/supervised/model", CPU)
    stored = features.read(alone / "extract/supervised/test.arrow")
    assert stored.features_ND.shape == (450, backbone.features)
