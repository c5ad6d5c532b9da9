"""Evaluations by several processes: each image is evaluated once, and the results are those of one process.

They are compared in double precision, in which no class hangs on the order of a sum.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from whole_in_parts.evaluation import features
from whole_in_parts.evaluation.linear_probe import load
from whole_in_parts.evaluation.probed_backbone import CLASSIFIERS

CPU = torch.device("cpu")
PROGRAM = str(Path(__file__).with_name("evaluating.py"))
LIMITS = {"epochs": 2, "batch_size": 96}
CROPS = LIMITS | {"representations": ["global", "patch"], "learning_rates": [0.1, 1.0], "best_epoch": True}
PROBE = LIMITS | {"learning_rate": 0.1, "weight_decay": 0.0}
TASKS = {
    "linear": {"probe": PROBE},
    "finetune": LIMITS | {"labels": 50, "learning_rate": 0.02},
    "linear_on_crops": LIMITS,
}
ANALYSES = {
    "similarity": {"pairs": 100},
    "receptive_field": {},
    "heat_map": {"size": 4, "stride": 2, "shown": 2},
    "neighbours": {"patches": 2, "scale": [0.3, 0.6], "neighbours": 3, "shown": 2},
    "bag": {"patches": [1, 2], "scale": [0.3, 0.6], "train_subset": 100, "windows": {"size": 4, "stride": 4}},
}
EVALUATIONS = [f"{kind}@supervised" for kind in ("extract", "linear", "corrupt", "mask", "attack")]
STAGES = [*EVALUATIONS, *(f"transfer@{name}" for name in TASKS), *(f"analyse@{name}" for name in ANALYSES)]


@pytest.fixture(scope="module")
def study(small, results, tmp_path_factory) -> Path:
    """A place with the pretraining of `supervised`, and a study whose batches and subsets are odd."""
    folder = tmp_path_factory.mktemp("evaluation") / "study"
    shutil.copytree(results, folder, symlinks=True)
    content = json.loads(small.model_dump_json())
    place = {"run": "supervised", "dataset": "digits"}
    content["runs"] = {"supervised": content["runs"]["supervised"]}
    content["transfer"] = {name: place | {"task": {"name": name} | task} for name, task in TASKS.items()}
    content["linear"] = PROBE | {"crops": CROPS}
    content["export"] = {}
    content["analyse"] = {
        name: place | {"subset": 61, "analysis": {"name": name} | options | ({"probe": PROBE} if name == "bag" else {})}
        for name, options in ANALYSES.items()
    }
    content["extract"]["representations"] = ["global", "patch"]
    content["corrupt"] |= {"corruptions": ["gaussian_noise"], "subset": 200}
    content["mask"] |= {"subset": 100, "rates": [50]}
    content["attack"] |= {"subset": 50}
    (folder / "params.yaml").write_text(yaml.safe_dump(content))
    return folder


@pytest.fixture(scope="module")
def evaluate(study, torchrun) -> Callable[..., Path]:
    """A function that runs all stages in a copy of the study by so many processes, and gives their results."""

    def by(processes: int, folder: Path) -> Path:
        shutil.copytree(study, folder, symlinks=True)
        torchrun(processes, PROGRAM, str(folder), "0", *STAGES)
        return folder / "results"

    return by


@pytest.fixture(scope="module")
def alone(evaluate, tmp_path_factory) -> Path:
    return evaluate(1, tmp_path_factory.mktemp("alone") / "study")


@pytest.fixture(scope="module", params=[2, 4])
def shared(request, evaluate, tmp_path_factory) -> Path:
    return evaluate(request.param, tmp_path_factory.mktemp("shared") / "study")


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_features_are_those_of_one_process_in_the_order_of_the_images(alone, shared, split):
    for name in ("global", "patch"):
        one, more = (features.read(folder / f"extract/supervised/{split}.arrow", name) for folder in (alone, shared))
        assert one.keys == more.keys
        assert torch.equal(one.labels_N, more.labels_N)
        torch.testing.assert_close(more.features_ND, one.features_ND, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["linear", "corrupt", "attack"])
def test_each_image_is_evaluated_once_and_predicted_as_by_one_process(alone, shared, kind):
    one, more = (pq.read_table(folder / kind / "supervised/predictions.parquet") for folder in (alone, shared))
    assert more.to_pydict() == one.to_pydict()


@pytest.mark.parametrize("stage", STAGES[1:])
def test_the_metrics_are_those_of_one_process(alone, shared, stage):
    file = Path(*stage.split("@")) / "metrics.json"
    one, more = (json.loads((folder / file).read_text()) for folder in (alone, shared))
    assert more == pytest.approx(one, rel=1e-6)


@pytest.mark.parametrize("name", CLASSIFIERS.values())
def test_the_classifiers_are_those_of_one_process(alone, shared, name):
    one, more = (load(folder / "linear/supervised" / name, CPU).weight for folder in (alone, shared))
    assert one.abs().max() > 0.01
    torch.testing.assert_close(more, one, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("stage", "title", "steps"),
    [
        ("linear@supervised", "linear on crops", 24),
        ("transfer@finetune", "finetune", 14),
    ],
)
def test_what_two_processes_train_and_a_kill_ends_another_number_finishes(
    study, alone, torchrun, tmp_path, stage, title, steps
):
    place = tmp_path / "study"
    shutil.copytree(study, place, symlinks=True)
    shutil.copytree(alone / "extract", place / "results/extract", dirs_exist_ok=True)
    before = sorted((place / "results").rglob("metrics.json"))
    ended = torchrun(2, PROGRAM, str(place), "5", stage, fails=True)
    assert "SIGKILL" in ended
    assert sorted((place / "results").rglob("metrics.json")) == before

    resumed = torchrun(1, PROGRAM, str(place), "0", stage)
    assert re.search(rf"{title}: .* 5/{steps}", resumed)
    file = Path(*stage.split("@")) / "metrics.json"
    one, more = (json.loads((folder / file).read_text()) for folder in (alone, place / "results"))
    assert more == pytest.approx(one, rel=1e-6)


def test_a_stage_starts_its_processes_by_itself_and_its_result_is_whole(study, root, tmp_path):
    place = tmp_path / "study"
    shutil.copytree(study, place, symlinks=True)
    names = {"PROCESSES_PER_NODE": "2", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    command = [sys.executable, "-m", "stages.extract", "supervised"]
    subprocess.run(command, cwd=place, env=os.environ | names, check=True, capture_output=True)
    assert len(features.read(place / "results/extract/supervised/test.arrow", "patch").keys) == 450


@pytest.mark.parametrize("count", [1, 2, 7, 1001])
def test_rows_are_in_the_order_of_the_indices_whatever_their_number(images, count):
    indices = np.arange(count)[::-1] % len(images)

    def labels(batch: np.ndarray, images_BCHW: torch.Tensor) -> torch.Tensor:
        assert len(images_BCHW) == len(batch)
        return torch.from_numpy(images.shards.labels[batch])

    found = torch.cat(list(features.iter_rows(labels, images, indices, CPU, "test")))
    assert torch.equal(found, torch.from_numpy(images.shards.labels[indices]))
