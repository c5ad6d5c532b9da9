"""What every backbone gives back, whatever it is."""

import pytest
import torch
from torch import nn

from tests.whole_in_parts.models.backbones.examples import TINY
from whole_in_parts.models.backbone import Backbone, build_backbone

SIZE = 32
ANY_SIZE = [name for name in TINY if name not in ("alexnet", "timm swin")]
BESIDE_THE_MAP = {"timm vit", "timm vit without class token"}
"""Those whose global representation does not follow from the map."""
POOLED = {
    "resnet basic",
    "resnet bottleneck",
    "rf_resnet v0",
    "bagnet",
    "timm resnet",
    "timm efficientnet",
    "timm swin",
}
"""Those whose global representation is the pooled one."""


@pytest.fixture(params=TINY)
def name(request) -> str:
    return request.param


@pytest.fixture
def backbone(name) -> Backbone:
    return build_backbone(TINY[name])


def images(size: int = SIZE, batch: int = 3) -> torch.Tensor:
    return torch.rand(batch, 3, size, size)


def test_representations_are_maps_the_mean_of_the_last_and_a_global_one(backbone):
    said = backbone(images())
    maps = said.maps
    assert [map_BCNN.shape[:2] for map_BCNN in maps] == [(3, width) for width in backbone.widths]
    assert all(map_BCNN.shape[2] == map_BCNN.shape[3] for map_BCNN in maps)
    assert said.local_BCNN is maps[-1]
    assert backbone.local_features == maps[-1].shape[1]
    torch.testing.assert_close(said.pooled_BC, maps[-1].mean((2, 3)))
    assert said.global_BD.shape == (3, backbone.features)


def test_the_global_representation_is_the_pooled_one_where_nothing_follows_the_pooling(name, backbone):
    said = backbone(images())
    same = said.global_BD.shape == said.pooled_BC.shape and torch.allclose(said.global_BD, said.pooled_BC, atol=1e-6)
    assert same == (name in POOLED)


@torch.no_grad()
def test_a_map_alone_gives_the_global_representation_or_the_pooled_one_where_it_does_not_follow(name, backbone):
    said = backbone.eval()(images())
    alone = backbone.aggregate([said.local_BCNN])
    torch.testing.assert_close(alone.pooled_BC, said.pooled_BC)
    torch.testing.assert_close(alone.global_BD, said.pooled_BC if name in BESIDE_THE_MAP else said.global_BD)
    assert torch.allclose(alone.global_BD, said.global_BD, atol=1e-5) == (name not in BESIDE_THE_MAP)


@pytest.mark.parametrize("name", ANY_SIZE)
@pytest.mark.parametrize("size", [32, 40, 64])
def test_map_sizes_are_those_of_a_forward_pass(name, size):
    backbone = build_backbone(TINY[name])
    assert backbone.map_sizes(size) == [map_BCNN.shape[-1] for map_BCNN in backbone(images(size, 2)).maps]


def test_asking_for_map_sizes_changes_nothing(backbone):
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    next(backbone.children()).eval()  # a part that is frozen stays so
    modes, generator = [module.training for module in backbone.modules()], torch.get_rng_state()
    backbone.map_sizes(SIZE)
    after = backbone.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert [module.training for module in backbone.modules()] == modes
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(parameter.requires_grad for parameter in backbone.parameters())


def test_gradients_reach_all_parameters_through_the_local_and_the_global_representations(backbone):
    for value in backbone.parameters():
        if not value.any():  # what starts at zero hides what is before it
            nn.init.normal_(value)
    said = backbone(images(batch=4))
    sum((part * torch.randn_like(part)).sum() for part in (said.local_BCNN, said.global_BD)).backward()
    unreached = [name for name, value in backbone.named_parameters() if value.grad is None or not value.grad.any()]
    assert unreached == []


@torch.no_grad()
def test_normalisation_is_part_of_the_network(name, backbone):
    plain = build_backbone(TINY[name].model_copy(update={"mean": [0.0] * 3, "std": [1.0] * 3})).eval()
    plain.load_state_dict(backbone.eval().state_dict())
    mean_C11, std_C11 = (torch.tensor(part).view(3, 1, 1) for part in (TINY[name].mean, TINY[name].std))
    images_BCHW = images()
    torch.testing.assert_close(backbone(images_BCHW).global_BD, plain((images_BCHW - mean_C11) / std_C11).global_BD)


def test_a_backbone_is_the_same_each_time_from_the_same_seed(name):
    torch.manual_seed(1)
    first = build_backbone(TINY[name]).state_dict()
    torch.manual_seed(1)
    second = build_backbone(TINY[name]).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
