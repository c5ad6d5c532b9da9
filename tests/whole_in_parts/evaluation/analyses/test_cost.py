"""Beside the figures of CO-SSL's Table 11, which count a batch norm's multiplication for each value too."""

import pytest
import torch

from whole_in_parts.config.analyses.cost import CostConfig
from whole_in_parts.config.backbone import backbone_config
from whole_in_parts.config.runs import Run
from whole_in_parts.evaluation.analyses.cost import measure
from whole_in_parts.models.backbone import build_backbone
from whole_in_parts.training.building import build

R50 = {
    "name": "resnet",
    "block": "bottleneck",
    "channels": 3,
    "mean": [0.5] * 3,
    "std": [0.25] * 3,
    "width": 64,
    "blocks": [3, 4, 6, 3],
    "strides": [1, 2, 2, 2],
    "stem": {"kernel": 7, "stride": 2, "pool": True},
}
RF99 = R50 | {"name": "rf_resnet", "blocks": [3, 4, 6, 4], "mlp": True, "stem": R50["stem"] | {"pool": False}}


@pytest.mark.parametrize(
    ("options", "gigaflops", "positions"), [(R50, 32.8, 49), (RF99, 106, 196)], ids=["ResNet-50", "RF99-ResNet-50"]
)
def test_the_flops_of_a_pair_of_views_are_those_of_the_paper(context, options, gigaflops, positions):
    context.test.size = 224
    metrics = measure(context._replace(backbone=build_backbone(backbone_config(options))), cost(0.2))
    assert metrics["pair_flops"] / 1e9 == pytest.approx(gigaflops, rel=0.006)
    assert metrics["positions"] == positions


BYOL = {"name": "byol", "projector": [4096, 256], "predictor": 4096, "momentum": [0.99, 1.0]}
SMALL_CROPS = {"count": 4, "size": 96, "view": {"crop_scale": [0.05, 0.14]}}
MULTI_CROP = {"name": "multi_crop", "crops": [SMALL_CROPS], "average": False}


def of_run(context, small, backbone: dict, modifier: dict):
    """The analysis of a BYOL of 224 px with a modifier, on the meta device."""
    content = small.runs["byol"].model_dump() | {"backbone": backbone, "method": BYOL, "modifier": modifier}
    run = Run.model_validate(content | {"image_size": 224})
    with torch.device("meta"):
        method = build(run, 10)
    context.test.size = 224
    return measure(context._replace(method=method, backbone=method.backbone), cost(0.2))


@pytest.mark.parametrize(("backbone", "gigaflops"), [(R50, 4.11), (RF99, 16.44)], ids=["ResNet-50", "RF99-ResNet-50"])
def test_the_flops_of_local_heads_are_those_of_three_heads_at_each_position_of_both_views(
    context, small, backbone, gigaflops
):
    """Table 11 has 5.6 and 22, with a predictor as wide as the projector: docs/methods.md E.16."""
    metrics = of_run(context, small, backbone, {"name": "co", "weight": 0.2})
    assert metrics["local_head_flops"] / 1e9 == pytest.approx(gigaflops, rel=0.002)
    assert metrics["small_crop_flops"] == 0
    assert metrics["images"] == 2


def test_small_crops_cost_a_pass_each_through_the_online_network(context, small):
    metrics = of_run(context, small, R50, MULTI_CROP)
    assert metrics["small_crop_flops"] / 1e9 == pytest.approx(6.02, rel=0.01)
    assert metrics["local_head_flops"] == 0
    assert metrics["images"] == 6


def test_the_memory_is_that_of_table_11(context, small):
    """12.0 for BYOL and 36.1 for BYOL-mc, in 10⁹ bytes."""
    assert of_run(context, small, R50, {"name": "none"})["memory_gb"] == pytest.approx(12.04, abs=0.01)
    many = of_run(context, small, R50, MULTI_CROP)
    assert many["memory_gb"] == pytest.approx(36.1, abs=0.05)


@pytest.mark.parametrize(("crop_scale", "least"), [(0.2, 0.0391), (0.08, 0.0156)])
def test_t_min_of_rf99_is_the_share_of_the_image_that_it_sees_times_the_least_crop(context, crop_scale, least):
    context.test.size = 224
    metrics = measure(context._replace(backbone=build_backbone(backbone_config(RF99))), cost(crop_scale))
    assert metrics["receptive_field"] == 99
    assert metrics["crop_scale_least"] == pytest.approx(least, abs=1e-4)


def test_t_min_is_the_least_crop_where_a_position_sees_the_whole_image(context):
    assert measure(context, cost(0.2))["crop_scale_least"] == pytest.approx(0.2)


def cost(crop_scale: float) -> CostConfig:
    return CostConfig(name="cost", crop_scale=crop_scale)
