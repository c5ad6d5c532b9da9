"""Parameters and multiply-adds of the papers' networks, without a classifier (`docs/methods.md` B and E.16)."""

import pytest
import torch
from torch import nn

from tests.whole_in_parts.models.backbones.examples import (
    BAGNET33,
    BAGNET33_MATCHED,
    LARGE,
    LARGE_UNPOOLED,
    R18,
    R18_SMALL,
    R50,
    RF29,
    RF99,
    SMALL,
    TINY,
    alexnet,
    resnet,
    rf18,
    rf50,
    timm,
)
from whole_in_parts.models.backbone import build_backbone
from whole_in_parts.models.backbone_cost import multiply_adds, parameters


@pytest.mark.parametrize(
    ("chosen", "count"),
    [
        pytest.param(R50, 23_508_032, id="ResNet-50"),
        pytest.param(RF99, 23_749_696, id="RF-ResNet-50"),
        pytest.param(rf50([2, 2, 2], LARGE_UNPOOLED, mlp=False), 21_384_256, id="RF-ResNet-50 v0"),
        pytest.param(RF29, 7_524_928, id="RF-ResNet-18"),
        pytest.param(rf18([1, 2, 2], mlp=False), 6_998_592, id="RF-ResNet-18 v0"),
        pytest.param(R18_SMALL, 11_168_832, id="ResNet-18, small images"),
        pytest.param(R18, 11_176_512, id="ResNet-18"),
        pytest.param(BAGNET33, 16_261_184, id="BagNet-33"),
        pytest.param(BAGNET33_MATCHED, 23_357_504, id="BagNet-33 of as many parameters as RF99"),
        pytest.param(alexnet(), 58_153_952, id="AlexNet"),
        pytest.param(timm("vit_tiny_patch16_224"), 5_524_416, id="ViT-Ti/16"),
        pytest.param(timm("vit_small_patch16_224"), 21_665_664, id="ViT-S/16"),
        pytest.param(timm("vit_base_patch16_224"), 85_798_656, id="ViT-B/16"),
    ],
)
def test_parameters_are_as_many_as_the_papers_count(chosen, count):
    with torch.device("meta"):
        assert parameters(build_backbone(chosen)) == count


@pytest.mark.parametrize(
    ("chosen", "image_size", "giga"),
    [
        pytest.param(R50, 224, 4.087, id="ResNet-50"),
        pytest.param(RF99, 224, 13.171, id="RF99-ResNet-50"),
        pytest.param(rf50([1, 2, 1], LARGE), 224, 19.8, id="the RF99-ResNet-50 that was not chosen"),
        pytest.param(RF29, 64, 4.44, id="RF29-ResNet-18"),
        pytest.param(rf18([2, 1, 1]), 64, 7.46, id="the RF29-ResNet-18 that was not chosen"),
        pytest.param(R18_SMALL, 64, 2.22, id="ResNet-18, small images"),
        pytest.param(BAGNET33, 224, 16.3, id="BagNet-33"),
        pytest.param(timm("vit_tiny_patch16_224"), 224, 1.253, id="ViT-Ti/16"),
    ],
)
def test_multiply_adds_are_those_of_the_papers(chosen, image_size, giga):
    with torch.device("meta"):
        backbone = build_backbone(chosen)
    decimals = len(str(giga).split(".")[1])
    assert round(multiply_adds(backbone, image_size) / 1e9, decimals) == giga


def test_multiply_adds_of_a_convolution_are_kernel_inputs_outputs_and_positions():
    backbone = build_backbone(resnet("basic", [1], [1], SMALL, width=4))
    backbone.layer1 = nn.Identity()
    assert multiply_adds(backbone, 10) == 3 * 3 * 3 * 4 * 10 * 10


def test_attention_counts_its_two_products():
    def cost(**more):
        return multiply_adds(build_backbone(timm("vit_tiny_patch16_224", **more)), 32)

    tokens, width = 17, 24
    layers = 4 * width * width + 2 * 4 * width * width
    given = {"patch_size": 8, "img_size": 32, "embed_dim": width, "num_heads": 3}
    assert cost(**given, depth=3) - cost(**given, depth=2) == tokens * layers + 2 * tokens * tokens * width


def test_counting_leaves_the_backbone_where_it_is():
    backbone = build_backbone(TINY["bagnet mlp"])
    multiply_adds(backbone, 32)
    assert backbone.training
    assert {value.device.type for value in backbone.parameters()} == {"cpu"}
