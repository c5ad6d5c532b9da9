"""Receptive fields by the formula, against `docs/methods.md` B.2 and B.3 and against gradients.

The CO-SSL paper says 193 and 425 where the formula and the gradients give 195 and 427; nothing else fits strides of
one and two.
"""

import pytest
import torch
from torch import nn

from tests.whole_in_parts.models.backbones.examples import (
    BAGNET33,
    BAGNET33_MATCHED,
    LARGE,
    LARGE_UNPOOLED,
    R18_SMALL,
    R50,
    SMALL,
    TINY,
    alexnet,
    bagnet,
    resnet,
    rf18,
    rf50,
    rf_resnet,
)
from whole_in_parts.models.backbone import build_backbone
from whole_in_parts.models.receptive_field import receptive_field

UNPOOLED = {
    (1, 1, 1): (39, 2),
    (1, 1, 2): (43, 4),
    (1, 2, 1): (51, 4),
    (2, 1, 1): (59, 4),
    (1, 2, 2): (59, 8),
    (2, 1, 2): (67, 8),
    (2, 2, 1): (83, 8),
    (2, 2, 2): (99, 16),
}
POOLED = {
    (1, 1, 1): (75, 4),
    (1, 1, 2): (83, 8),
    (1, 2, 1): (99, 8),
    (2, 1, 1): (115, 8),
    (1, 2, 2): (115, 16),
    (2, 1, 2): (131, 16),
    (2, 2, 1): (163, 16),
    (2, 2, 2): (195, 32),
}
SMALL_IMAGES = {
    (1, 1, 1): (19, 1),
    (1, 1, 2): (21, 2),
    (1, 2, 1): (25, 2),
    (1, 2, 2): (29, 4),
    (2, 1, 1): (29, 2),
    (2, 1, 2): (33, 4),
    (2, 2, 1): (41, 4),
    (2, 2, 2): (49, 8),
}


@pytest.mark.parametrize(
    ("chosen", "size", "stride"),
    [
        *[pytest.param(rf50([*s], LARGE_UNPOOLED), *given, id=f"RF-ResNet-50 {s}") for s, given in UNPOOLED.items()],
        *[pytest.param(rf50([*s], LARGE), *given, id=f"RF-ResNet-50 pooled {s}") for s, given in POOLED.items()],
        *[pytest.param(rf18([*s]), *given, id=f"RF-ResNet-18 {s}") for s, given in SMALL_IMAGES.items()],
        pytest.param(R50, 427, 32, id="ResNet-50"),
        pytest.param(R18_SMALL, 109, 8, id="ResNet-18, small images"),
        pytest.param(BAGNET33, 33, 8, id="BagNet-33"),
        pytest.param(BAGNET33_MATCHED, 33, 8, id="BagNet-33 of as many parameters as RF99"),
        pytest.param(alexnet(), 45, 8, id="AlexNet"),
    ],
)
def test_receptive_field_and_stride_are_those_of_the_papers(chosen, size, stride):
    with torch.device("meta"):
        assert receptive_field(build_backbone(chosen)) == (size, stride)


@pytest.mark.parametrize("name", ["timm vit", "timm resnet"])
def test_a_network_of_timm_has_none_that_the_formula_gives(name):
    assert receptive_field(build_backbone(TINY[name])) is None


@pytest.mark.parametrize("name", TINY)
def test_the_options_tell_whether_there_is_one(name):
    assert TINY[name].convolutional == (receptive_field(build_backbone(TINY[name])) is not None)


def without_dead_paths(module: nn.Module) -> None:
    """Average in place of the maximum, which lets one pixel through."""
    for name, child in module.named_children():
        if isinstance(child, nn.MaxPool2d):
            setattr(module, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))


@pytest.mark.parametrize(
    ("chosen", "image_size"),
    [
        (resnet("basic", [1, 1], [1, 2], SMALL, width=2), None),
        (resnet("bottleneck", [2, 1, 1], [1, 2, 2], LARGE, width=2), None),
        (rf_resnet("basic", [3, 3, 3, 3], [1, 2, 2, 2], LARGE_UNPOOLED, width=2), None),
        (rf_resnet("bottleneck", [3, 4, 3], [2, 1, 2], LARGE, width=2), None),
        (rf_resnet("basic", [3, 5], [1, 2], SMALL, width=2), None),
        (bagnet([3, 4, 6, 3], [2, 2, 2, 1], width=2), None),
        (bagnet([1, 2], [1, 2], mlp=True, width=2), None),
        (alexnet(96, width=2, features=4), 96),
    ],
    ids=lambda value: value.name if hasattr(value, "name") else "",
)
def test_the_formula_gives_the_extent_of_the_gradient_of_a_local_representation(chosen, image_size, monkeypatch):
    monkeypatch.setattr(torch, "relu", lambda x: x)  # no dead paths
    monkeypatch.setattr(torch, "relu_", lambda x: x)
    backbone = build_backbone(chosen).double().eval()
    size, stride = receptive_field(backbone)
    backbone.apply(without_dead_paths)
    image_size = image_size or size + 3 * stride
    image_1CHW = torch.zeros(1, 3, image_size, image_size, dtype=torch.float64, requires_grad=True)
    local_1CNN = backbone(image_1CHW).local_BCNN
    centre = local_1CNN.shape[-1] // 2
    local_1CNN[0, :, centre, centre].sum().backward()
    reached_HW = (image_1CHW.grad[0] != 0).any(0)
    for axis in (0, 1):
        extent = reached_HW.any(axis).nonzero()
        assert extent.max() - extent.min() + 1 == size
