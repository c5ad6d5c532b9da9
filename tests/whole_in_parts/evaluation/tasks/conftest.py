"""A backbone of random weights, and how a task is asked of it on a small set that a test makes."""

import json
from collections.abc import Callable

import pytest
import torch

from stages.contract import contract
from stages.fetch import fetch
from stages.shard import pack, shard
from stages.transfer import transfer
from whole_in_parts.config.backbones.resnet import ResNetConfig, Stem
from whole_in_parts.config.study import Study
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.data.source import Sample
from whole_in_parts.data.variable_size import training_images
from whole_in_parts.evaluation.task import TaskContext
from whole_in_parts.models import saved_backbone
from whole_in_parts.models.backbone import Backbone, build_backbone
from whole_in_parts.results import atomic_output_dir, result_dir

SIZE = 32
SIZES = {"height": [20, 50], "width": [20, 50]}
RESNET = ResNetConfig(
    name="resnet",
    block="basic",
    channels=3,
    mean=[0.5, 0.5, 0.5],
    std=[0.25, 0.25, 0.25],
    width=16,
    blocks=[1, 1],
    strides=[1, 2],
    stem=Stem(kernel=3, stride=2, pool=False),
)


@pytest.fixture
def architecture() -> ResNetConfig:
    """What the backbone is; a module may have another one."""
    return RESNET


@pytest.fixture
def backbone(architecture) -> Backbone:
    return build_backbone(architecture).eval().requires_grad_(False)


@pytest.fixture
def give(tmp_path, backbone) -> Callable[..., TaskContext]:
    """A function that packs the samples of both splits and gives a task what it works with."""

    def make(
        train: list[Sample], test: list[Sample], classes: list[str], others: list[str] | None = None
    ) -> TaskContext:
        for split, samples, names in (("train", train, classes), ("test", test, others or classes)):
            (tmp_path / split).mkdir()
            pack(samples, names, tmp_path / split, 8, split)
        images = training_images(Shards(tmp_path / "train"), SIZE, 3)
        test_images = Images(Shards(tmp_path / "test"), SIZE, 3)
        return TaskContext(backbone, images, test_images, torch.device("cpu"), tmp_path, tmp_path)

    return make


@pytest.fixture
def ask(small, architecture, backbone, tmp_path, monkeypatch) -> Callable[..., dict[str, float]]:
    """A function that asks a task of the backbone on a dataset, by every stage from its source on, for metrics."""

    def make(source: dict, expect: dict, task: dict) -> dict[str, float]:
        monkeypatch.chdir(tmp_path)
        content = small.model_dump()
        content["datasets"]["asked"] = {"source": source, "samples_per_shard": 10, "expect": SIZES | expect}
        content["runs"]["byol"]["backbone"] = architecture.model_dump()
        content["transfer"] = {"asked": {"run": "byol", "dataset": "asked", "task": task}}
        study = Study.model_validate(content)
        with atomic_output_dir("pretrain", "byol") as directory:
            saved_backbone.save(backbone, architecture, SIZE, directory / "model")
        for stage in (fetch, shard, contract, transfer):
            with atomic_output_dir(stage.__name__, "asked") as directory:
                stage(study, "asked", directory)
        return json.loads((result_dir("transfer", "asked") / "metrics.json").read_text())

    return make
