"""A target network: a copy that follows, drops no paths and is given the large views alone.

How it moves is in `methods/test_byol.py` and in `methods/test_contract_of_methods.py`.
"""

import pytest
import torch

from tests.every_method import METHODS
from tests.whole_in_parts.methods.examples import batch, made
from whole_in_parts.config.backbones.timm import TimmConfig
from whole_in_parts.config.method import TargetNetworkConfig
from whole_in_parts.methods.joint_embedding import TARGETS
from whole_in_parts.models.backbone import build_backbone
from whole_in_parts.models.ema import EMATeacher
from whole_in_parts.schedules import Clock

WITH_TARGET = [name for name, options in METHODS.items() if isinstance(options, TargetNetworkConfig)]
WITH_TARGET.remove("patch_dino")
VIT = {"img_size": 8, "patch_size": 4, "embed_dim": 16, "depth": 3, "num_heads": 2, "drop_path_rate": 0.5}


@pytest.fixture
def twin():
    """A ViT that drops paths, and its target, both in training mode."""
    options = TimmConfig(name="timm", model="vit_tiny_patch16_224", arguments=VIT, channels=1, mean=[0.3], std=[0.4])
    return EMATeacher(build_backbone(options), (0.9, 1.0)).train()


def test_the_online_network_drops_paths_and_the_target_none(twin):
    view_BCSS = torch.rand(16, 1, 8, 8)
    online = [twin.online(view_BCSS).global_BD for _ in range(2)]
    target = [twin.target(view_BCSS).global_BD for _ in range(2)]
    assert not torch.equal(*online)
    assert torch.equal(*target)
    assert torch.equal(target[0], twin.online.eval()(view_BCSS).global_BD)


def test_the_target_stays_so_when_it_follows(twin):
    twin.ema_update(Clock(1, 10, 5))
    rates = [
        {module.drop_prob for module in network.modules() if hasattr(module, "drop_prob")}
        for network in (twin.online, twin.target)
    ]
    assert max(rates[0]) == 0.5
    assert rates[1] == {0.0}


def test_the_target_is_not_trained_and_the_online_network_is(twin):
    assert not any(parameter.requires_grad for parameter in twin.target.parameters())
    assert all(parameter.requires_grad for parameter in twin.online.parameters())


@pytest.mark.parametrize("name", WITH_TARGET)
def test_the_target_sees_the_two_large_views_and_the_online_network_all(small, name):
    method, given, seen = made(small, name), batch(small_crops=3), {"online": [], "target": []}
    for network, shapes in seen.items():
        getattr(method.networks, network).register_forward_pre_hook(
            lambda _, inputs, shapes=shapes: shapes.append(inputs[0].shape[-1])
        )
    encoded = method.encode(given.views)
    assert seen == {"online": [8, 8, 6, 6, 6], "target": [8, 8]}
    assert (len(encoded.online), len(encoded.target)) == (5, TARGETS)
    assert not any(view.global_BD.requires_grad for view in encoded.target)
    assert all(view.global_BD.requires_grad for view in encoded.online)


@pytest.mark.parametrize("name", WITH_TARGET)
def test_the_loss_leaves_the_targets_without_a_gradient(small, name):
    method = made(small, name)
    method.backward(method(batch()).losses)
    for parameter_name, parameter in method.named_parameters():
        assert (parameter.grad is None) == (".target." in parameter_name)
