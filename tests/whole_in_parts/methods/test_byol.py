import copy

import pytest
import torch
from torch import Tensor

from whole_in_parts.augment.views import Batch
from whole_in_parts.config.methods.byol import ByolConfig
from whole_in_parts.methods.base import build_method
from whole_in_parts.models.backbone import build_backbone
from whole_in_parts.schedules import Clock, cosine

OPTIONS = ByolConfig(name="byol", projector=[32, 16], predictor=32, momentum=(0.6, 1.0))


@pytest.fixture
def byol(small):
    """BYOL in float64, of which the target is another network than the online one."""
    method = build_method(OPTIONS, build_backbone(small.runs["co_byol"].backbone), 10, 8).double()
    for twin in (method.networks, method.heads.projector):
        for parameter in twin.target.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return method


def batch() -> Batch:
    return Batch([torch.rand(6, 1, 8, 8, dtype=torch.float64) for _ in range(2)], [], [], torch.zeros(6))


def unit(x_BD: Tensor) -> Tensor:
    return x_BD / x_BD.square().sum(1, keepdim=True).sqrt()


def test_the_loss_is_minus_twice_the_cosine_of_prediction_and_target_summed_over_both_directions(byol):
    given = batch()
    v, w = given.views
    networks, projector = byol.networks, byol.heads.projector
    expected = 0
    for first, second in ((v, w), (w, v)):
        p_BD = byol.heads.predictor(projector.online(networks.online(first).global_BD))
        z_BD = projector.target(networks.target(second).global_BD)
        expected -= 2 * (unit(p_BD) * unit(z_BD)).sum(1).mean()
    torch.testing.assert_close(byol(given).losses["global"], expected, rtol=1e-12, atol=0)


def test_heads_have_one_hidden_layer_with_batch_norm_and_the_given_widths(byol):
    features = byol.backbone.features
    for head, inputs in ((byol.heads.projector.online, features), (byol.heads.predictor, 16)):
        shapes = [tuple(parameter.shape) for parameter in head.parameters()]
        assert shapes == [(32, inputs), (32,), (32,), (32,), (16, 32), (16,)]


def test_no_gradient_reaches_the_target(byol):
    byol(batch()).losses["global"].backward()
    for twin in (byol.networks, byol.heads.projector):
        assert all(parameter.grad is None for parameter in twin.target.parameters())
        assert all(parameter.grad is not None for parameter in twin.online.parameters())


@pytest.mark.parametrize(("progress", "momentum"), [(0, 0.6), (1 / 3, 0.7), (0.5, 0.8), (2 / 3, 0.9), (1.0, 1.0)])
def test_the_target_moves_towards_the_online_network_by_the_momentum_of_the_schedule(byol, progress, momentum):
    before, backbone = copy.deepcopy(byol), byol.backbone
    byol.update(Clock(round(progress * 600), 600, 300))
    for old, new in ((before.networks, byol.networks), (before.heads.projector, byol.heads.projector)):
        parts = zip(old.target.parameters(), old.online.parameters(), new.target.parameters(), strict=True)
        for target, online, moved in parts:
            torch.testing.assert_close(moved, momentum * target + (1 - momentum) * online, rtol=1e-7, atol=1e-12)
        for online, same in zip(old.online.parameters(), new.online.parameters(), strict=True):
            assert torch.equal(online, same)
    assert byol.backbone is backbone is byol.networks.online


def test_the_target_keeps_running_statistics_of_its_own(byol):
    byol(batch())
    before = copy.deepcopy(byol.networks.target)
    byol.update(Clock(1, 2, 1))
    for old, new in zip(before.buffers(), byol.networks.target.buffers(), strict=True):
        assert torch.equal(old, new)
    assert not torch.equal(byol.networks.target.bn1.running_mean, byol.backbone.bn1.running_mean)


def test_a_new_target_is_the_online_network(small):
    method = build_method(OPTIONS, build_backbone(small.runs["byol"].backbone), 10, 8)
    for twin in (method.networks, method.heads.projector):
        for online, target in zip(twin.online.parameters(), twin.target.parameters(), strict=True):
            assert torch.equal(online, target)
            assert online.data_ptr() != target.data_ptr()


@pytest.mark.parametrize(("progress", "value"), [(0, 2.0), (0.25, 1.7071067811865475), (0.5, 1.0), (1, 0.0)])
def test_a_half_cosine_goes_from_its_start_to_its_end(progress, value):
    assert cosine(2.0, 0.0, progress) == pytest.approx(value)
    assert cosine(0.0, 2.0, progress) == pytest.approx(2 - value)
