import json

import numpy as np
import pytest
import torch

from stages.mask import accuracy, kept, mask, mean_of_kept
from stages.probing.classifier import top1
from stages.probing.frozen import subject

CPU = torch.device("cpu")
NUMBERS = np.arange(3000)


@pytest.mark.parametrize(
    ("positions", "rate", "left"),
    [(16, 0, 16), (16, 50, 8), (16, 75, 4), (196, 50, 98), (196, 90, 20), (49, 60, 20), (4, 90, 1), (1, 50, 1)],
)
def test_every_image_keeps_the_positions_that_the_rate_leaves_and_at_least_one(positions, rate, left):
    kept_BP = kept(NUMBERS[:50], positions, rate)
    assert kept_BP.shape == (50, positions)
    assert (kept_BP.sum(1) == left).all()


def test_every_position_is_kept_as_often_and_each_image_has_its_own():
    kept_BP = kept(NUMBERS, 16, 75)
    share_P = kept_BP.float().mean(0)
    assert (share_P - 0.25).abs().max() < 4 * (0.25 * 0.75 / len(NUMBERS)) ** 0.5
    assert len({tuple(row.tolist()) for row in kept_BP}) > 1000


def test_what_an_image_keeps_depends_on_its_number_and_the_rate_and_not_on_the_batch():
    batch = np.array([7, 2900, 0])
    assert torch.equal(kept(batch, 16, 50), kept(NUMBERS, 16, 50)[batch])
    assert not torch.equal(kept(batch, 16, 50), kept(batch, 16, 51))


def test_the_mean_is_over_the_positions_that_are_kept():
    local_BCNN, kept_BP = torch.rand(6, 5, 4, 4), kept(NUMBERS[:6], 16, 75)
    pooled_BC = mean_of_kept(local_BCNN, kept_BP)
    for pooled_C, local_CNN, kept_P in zip(pooled_BC, local_BCNN, kept_BP, strict=True):
        torch.testing.assert_close(pooled_C, local_CNN.flatten(1)[:, kept_P].mean(1))


@torch.no_grad()
def test_the_model_without_a_mask_is_the_plain_model(small, built):
    given = subject(small, "supervised", 200, CPU)
    images_BCHW = given.images[given.numbers].float() / 255
    local_BCNN, _, whole_BD = given.model.backbone(images_BCHW)
    pooled_BC = mean_of_kept(local_BCNN, kept(given.numbers, local_BCNN.shape[2] * local_BCNN.shape[3], 0))
    torch.testing.assert_close(given.model.backbone.whole(pooled_BC), whole_BD)
    assert accuracy(given, 0, CPU) == top1(given.model(images_BCHW), given.labels_N)


def test_accuracy_does_not_depend_on_the_batches(small, built, monkeypatch):
    given = subject(small, "supervised", 200, CPU)
    whole = accuracy(given, 75, CPU)
    monkeypatch.setattr("stages.probing.features.BATCH", 7)
    assert accuracy(given, 75, CPU) == whole


def test_the_stage_reports_each_rate_no_rate_and_the_mean_over_the_rates(small, built, tmp_path):
    mask(small, "supervised", tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert list(metrics) == ["mask_0", "mask_50", "mask_75", "mean", "samples"]
    assert metrics["mean"] == pytest.approx((metrics["mask_50"] + metrics["mask_75"]) / 2, abs=1e-4)
    assert metrics["mask_0"] > metrics["mask_50"] > metrics["mask_75"] > 20
    assert metrics["samples"] == pytest.approx(small.mask.subset, abs=5)
