"""Beside the figures of CO-SSL's Table 11, which count a batch norm's multiplication for each value too."""

import pytest

from whole_in_parts.config.analyses.cost import CostConfig
from whole_in_parts.config.backbone import backbone_config
from whole_in_parts.evaluation.analyses.cost import measure
from whole_in_parts.models.backbone import build_backbone

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
