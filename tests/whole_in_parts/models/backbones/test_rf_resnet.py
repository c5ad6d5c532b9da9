"""ResNets with a small receptive field: where their wide kernels are, and what follows their pooling."""

import pytest
import torch
from torch import nn

from tests.whole_in_parts.models.backbones.examples import SMALL, rf_resnet
from whole_in_parts.models.backbone import build_backbone


@pytest.mark.parametrize(("blocks", "wide"), [(3, [0, 1]), (4, [0, 2]), (6, [0, 3])])
def test_the_kernels_of_3_pixels_are_the_first_ones_of_the_first_and_of_the_middle_block(blocks, wide):
    with torch.device("meta"):
        stage = build_backbone(rf_resnet("basic", [blocks], [1], SMALL)).layer1
    assert [number for number, block in enumerate(stage) if block.conv1.kernel_size == (3, 3)] == wide
    assert {block.conv2.kernel_size for block in stage} == {(1, 1)}


def test_the_mlp_of_an_rf_resnet_adds_to_what_is_pooled_and_v0_has_none():
    chosen = rf_resnet("basic", [3, 3], [1, 1], SMALL, width=8)
    backbone = build_backbone(chosen).eval()
    images_BCHW = torch.rand(3, 3, 16, 16)
    nn.init.zeros_(backbone.mlp.layers[-1].weight)  # what the block adds is nothing
    for network in (backbone, build_backbone(chosen.model_copy(update={"mlp": False}))):
        said = network(images_BCHW)
        assert torch.equal(said.pooled_BC, said.global_BD)


def test_there_is_a_map_for_each_stage():
    backbone = build_backbone(rf_resnet("bottleneck", [3, 3, 3], [1, 2, 2], SMALL, width=4))
    assert backbone.widths == [16, 32, 64]
    assert backbone.map_sizes(16) == [16, 8, 4]
