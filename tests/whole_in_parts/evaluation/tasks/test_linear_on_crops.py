"""The probe on crops as a task: what it reports, and what it refuses. `test_crops_probe.py` has the training."""

import pytest
import torch

from tests.whole_in_parts.evaluation.tasks.conftest import RESNET
from whole_in_parts.checkpoints import Checkpoints
from whole_in_parts.config.tasks.linear_on_crops import LinearOnCropsConfig
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.evaluation import crops_probe
from whole_in_parts.evaluation.task import TaskContext
from whole_in_parts.evaluation.tasks import linear_on_crops
from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import build_backbone

OPTIONS = LinearOnCropsConfig(name="linear_on_crops", epochs=1, batch_size=64)


@pytest.fixture
def context(shards, tmp_path) -> TaskContext:
    backbone = build_backbone(RESNET.model_copy(update={"channels": 1, "mean": [0.3], "std": [0.4]}))
    train, test = (Images(Shards(shards / split), 16, 1) for split in ("train", "test"))
    backbone.eval().requires_grad_(False)
    return TaskContext(backbone, train, test, torch.device("cpu"), tmp_path / "result", tmp_path)


def test_it_reports_what_the_probe_on_crops_measures(context, tmp_path):
    options = OPTIONS.model_copy(update={"representations": ["patch", "layer_1"], "best_epoch": True})
    fitted = crops_probe.fit(context.backbone, context.train, options, Checkpoints(tmp_path / "other"), context.device)
    expected, _ = crops_probe.evaluate(context.backbone, fitted, context.test, context.device)
    assert linear_on_crops.evaluate(context, options) == expected
    assert options.headline in expected
    assert OPTIONS.headline == "top1"


def test_a_representation_that_the_backbone_lacks_is_named_with_those_that_it_has(context):
    with pytest.raises(
        Failure,
        match=r"task\.representations: the backbone has no layer_9; it has: global, patch, global_patch, layer_1",
    ):
        linear_on_crops.evaluate(context, OPTIONS.model_copy(update={"representations": ["layer_9"]}))


def test_a_learning_rate_that_is_named_twice_is_refused():
    with pytest.raises(ValueError, match=r"named more than once: 0\.1"):
        LinearOnCropsConfig(name="linear_on_crops", learning_rates=(0.1, 0.1))
