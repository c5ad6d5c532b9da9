"""The precision of a backbone's forward pass."""

import copy

import pytest
import torch

from tests.whole_in_parts.models.backbones.examples import TINY
from whole_in_parts.models.backbone import Backbone, build_backbone


def dtypes_of(backbone: Backbone, images_BCHW: torch.Tensor) -> tuple[set[torch.dtype], list[torch.Tensor]]:
    """The types of what convolutions and matrix products give in a forward pass, and the representations."""
    seen: set[torch.dtype] = set()
    layers = [module for module in backbone.modules() if isinstance(module, torch.nn.Conv2d | torch.nn.Linear)]
    hooks = [layer.register_forward_hook(lambda *given: seen.add(given[2].dtype)) for layer in layers]
    with torch.no_grad():
        given = backbone(images_BCHW)
    for hook in hooks:
        hook.remove()
    return seen, [*given.maps, given.pooled_BC, given.global_BD, *given.class_tokens]


@pytest.mark.parametrize("name", TINY)
def test_layers_compute_in_bfloat16_and_representations_are_float32_and_near_those_of_float32(name):
    single = build_backbone(TINY[name]).eval()
    half = copy.deepcopy(single)
    half.precision = "bfloat16"
    images_BCHW = torch.rand(2, TINY[name].channels, 32, 32)
    (before, expected), (inside, found) = (dtypes_of(backbone, images_BCHW) for backbone in (single, half))
    assert (before, inside) == ({torch.float32}, {torch.bfloat16})
    assert {tensor.dtype for tensor in found} == {torch.float32}
    for tensor, wanted in zip(found, expected, strict=True):
        assert not torch.equal(tensor, wanted)
        assert (tensor - wanted).norm() < 0.1 * wanted.norm()


def test_in_a_training_in_bfloat16_a_backbone_leaves_the_precision_as_it_is():
    backbone = build_backbone(TINY["timm vit"]).eval()
    with torch.autocast("cpu", torch.bfloat16):
        inside, _ = dtypes_of(backbone, torch.rand(2, 3, 32, 32))
    assert inside == {torch.bfloat16}


def test_shapes_are_inferred_in_any_precision():
    backbone = build_backbone(TINY["timm vit"])
    expected = backbone.map_sizes(32)
    backbone.precision = "bfloat16"
    assert backbone.map_sizes(32) == expected
    assert backbone.precision == "bfloat16"
