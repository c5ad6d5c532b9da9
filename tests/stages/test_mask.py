import json

import numpy as np
import pytest
import torch

from stages.mask import draw_kept, fill_dropped, mask, masked_top1
from whole_in_parts.config.evaluations import Robustness
from whole_in_parts.config.study import Study
from whole_in_parts.evaluation.linear_probe import top1
from whole_in_parts.evaluation.probed_backbone import eval_inputs

CPU = torch.device("cpu")
NUMBERS = np.arange(3000)


@pytest.mark.parametrize(
    ("positions", "rate", "left"),
    [(16, 0, 16), (16, 50, 8), (16, 75, 4), (196, 50, 98), (196, 90, 20), (49, 60, 20), (4, 90, 1), (1, 50, 1)],
)
def test_every_image_keeps_the_positions_that_the_rate_leaves_and_at_least_one(positions, rate, left):
    kept_BP = draw_kept(NUMBERS[:50], positions, rate)
    assert kept_BP.shape == (50, positions)
    assert (kept_BP.sum(1) == left).all()


def test_every_position_is_kept_as_often_and_each_image_has_its_own():
    kept_BP = draw_kept(NUMBERS, 16, 75)
    share_P = kept_BP.float().mean(0)
    assert (share_P - 0.25).abs().max() < 4 * (0.25 * 0.75 / len(NUMBERS)) ** 0.5
    assert len({tuple(row.tolist()) for row in kept_BP}) > 1000


def test_what_an_image_keeps_depends_on_its_number_and_the_rate_and_not_on_the_batch():
    batch = np.array([7, 2900, 0])
    assert torch.equal(draw_kept(batch, 16, 50), draw_kept(NUMBERS, 16, 50)[batch])
    assert not torch.equal(draw_kept(batch, 16, 50), draw_kept(batch, 16, 51))


def test_a_masked_map_is_itself_where_it_is_kept_and_its_mean_is_that_of_what_is_kept():
    local_BCNN, kept_BP = torch.rand(6, 5, 4, 4), draw_kept(NUMBERS[:6], 16, 75)
    masked_BCNN = fill_dropped(local_BCNN, kept_BP)
    for after_CNN, before_CNN, kept_P in zip(masked_BCNN, local_BCNN, kept_BP, strict=True):
        kept_CK = before_CNN.flatten(1)[:, kept_P]
        assert torch.equal(after_CNN.flatten(1)[:, kept_P], kept_CK)
        torch.testing.assert_close(after_CNN.mean((1, 2)), kept_CK.mean(1))


def test_the_positions_that_are_dropped_change_nothing():
    local_BCNN, kept_BP = torch.rand(6, 5, 4, 4), draw_kept(NUMBERS[:6], 16, 75)
    others_BCNN = torch.where(kept_BP.view(6, 1, 4, 4), local_BCNN, torch.rand_like(local_BCNN))
    assert torch.equal(fill_dropped(local_BCNN, kept_BP), fill_dropped(others_BCNN, kept_BP))


@torch.no_grad()
def test_the_model_without_a_mask_is_the_plain_model(small, built):
    given = eval_inputs(small, "supervised", Robustness(subset=200), CPU)
    images_BCHW = given.images[given.indices].float() / 255
    backbone = given.model.backbone
    said = backbone(images_BCHW)
    masked_BCNN = fill_dropped(said.local_BCNN, draw_kept(given.indices, said.local_BCNN.shape[2:].numel(), 0))
    torch.testing.assert_close(backbone.aggregate([masked_BCNN]).global_BD, said.global_BD)
    assert masked_top1(given, 0, CPU) == pytest.approx(top1(given.model(images_BCHW), given.labels_N), abs=1)


def test_accuracy_does_not_depend_on_the_batches(small, built, monkeypatch):
    given = eval_inputs(small, "supervised", Robustness(subset=200), CPU)
    whole = masked_top1(given, 75, CPU)
    monkeypatch.setattr("whole_in_parts.evaluation.features.BATCH", 7)
    assert masked_top1(given, 75, CPU) == pytest.approx(whole, abs=1)  # two images on an edge


def test_the_stage_reports_each_rate_no_rate_and_the_mean_over_the_rates(small, built, tmp_path, claim):
    content = small.model_dump()
    content["mask"] |= {"rates": [50, 95], "subset": 450}  # of 16 positions, one is kept of 95 %
    mask(Study.model_validate(content), "supervised", tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert list(metrics) == ["mask_0", "mask_50", "mask_95", "mean", "samples"]
    assert metrics["mean"] == pytest.approx((metrics["mask_50"] + metrics["mask_95"]) / 2, abs=1e-4)
    claim("mask_0 less mask_95", metrics["mask_0"] - metrics["mask_95"], above=0)
    claim("mask_95", metrics["mask_95"], above=20)
    assert metrics["samples"] == 450


def test_without_rates_there_is_the_accuracy_without_a_mask_and_no_mean(small, built, tmp_path):
    content = small.model_dump()
    content["mask"]["rates"] = []
    mask(Study.model_validate(content), "supervised", tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text()).keys() == {"mask_0", "samples"}
