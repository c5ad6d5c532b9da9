"""DINO against lightly's loss, which follows the authors' code, and what its schedules do.

Lightly's (and the authors') teacher temperature climbs by whole epochs and is at its end one epoch before the
warm-up is over; ours climbs with each step and is there when it is over.
"""

import pytest
import torch
from lightly.loss import DINOLoss

from tests.every_method import MODIFIERS
from tests.whole_in_parts.methods.examples import (
    EXACT,
    FEATURES,
    apart,
    batch,
    embedded,
    made,
    modified,
    shapes,
    unit,
    vectors,
)
from whole_in_parts.config.modifiers.co import COConfig
from whole_in_parts.config.modifiers.multi_crop import MultiCropConfig
from whole_in_parts.schedules import Clock

PROTOTYPES = 12
SINGLE = {"rtol": 1e-8, "atol": 0}
"""Lightly holds the temperature in single precision."""


@pytest.fixture
def dino(small):
    """DINO with a centre that is not zero."""
    warmup = {"teacher_temperature": (0.04, 0.07), "warmup_epochs": 10}
    method = made(small, "dino", prototypes=PROTOTYPES, centre_momentum=0.9, **warmup)
    method.heads.centre_P1K.copy_(0.1 * vectors(1, 1, PROTOTYPES))
    apart(method)
    return method


def of_lightly(dino, temperature: float) -> DINOLoss:
    criterion = DINOLoss(PROTOTYPES, teacher_temp=temperature).double()
    criterion.center.data = dino.heads.centre_P1K.clone()
    return criterion


def teacher_scores(dino, given):
    """The target's scores of both large views, each (B, K)."""
    projector, prototypes = dino.heads.projector.target, dino.heads.prototypes.target
    with torch.no_grad():
        return [prototypes(projector(dino.networks.target(view).global_BD)) for view in given.views[:2]]


@pytest.mark.parametrize("small_crops", [0, 3])
def test_loss_and_centre_are_those_of_lightly(dino, small_crops):
    options = MultiCropConfig.model_validate(MODIFIERS["multi_crop"].model_dump() | {"average": True})
    method, given = modified(dino, options), batch(small_crops)
    dino.prepare(Clock(5, 60, 5))
    criterion = of_lightly(dino, 0.04 + 0.03 / 10)
    teacher, student = teacher_scores(dino, given), [score_1BK[0] for score_1BK in embedded(dino, given).online]
    dino.heads.batch_centres.clear()
    expected = criterion(teacher, student)
    torch.testing.assert_close(method(given).losses["global"], expected, **SINGLE)
    method.update(Clock(6, 60, 5))
    torch.testing.assert_close(dino.heads.centre_P1K, criterion.center.data, **EXACT)


def test_the_centre_is_that_of_the_steps_before(dino):
    before = dino.heads.centre_P1K.clone()
    given = batch()
    dino(given)
    assert torch.equal(dino.heads.centre_P1K, before)
    rows_BK = torch.cat(teacher_scores(dino, given))
    dino.update(Clock(1, 60, 5))
    torch.testing.assert_close(dino.heads.centre_P1K, 0.9 * before + 0.1 * rows_BK.mean(0), **EXACT)


def test_one_direction_is_half_the_cross_entropy_of_the_student_given_the_teacher(dino):
    score_BK, target_BK = vectors(5, PROTOTYPES), torch.softmax(vectors(5, PROTOTYPES), 1)
    terms = [-(target_BK[image] * torch.log_softmax(score_BK[image] / 0.1, 0)).sum() for image in range(5)]
    torch.testing.assert_close(dino.align(score_BK[None], target_BK[None], dino.heads), sum(terms) / 10, **EXACT)


@pytest.mark.parametrize(("step", "temperature"), [(0, 0.04), (5, 0.043), (25, 0.055), (50, 0.07), (59, 0.07)])
def test_the_teachers_temperature_climbs_in_a_line_and_stays(dino, step, temperature):
    dino.prepare(Clock(step, 60, 5))
    assert dino.heads.temperature == pytest.approx(temperature, rel=1e-12)


def test_lightlys_temperature_is_at_its_end_an_epoch_earlier(dino):
    theirs = DINOLoss(PROTOTYPES, 0.04, 0.07, warmup_teacher_temp_epochs=10).teacher_temp_schedule
    for epoch in range(10):
        dino.prepare(Clock(5 * epoch, 60, 5))
        assert float(theirs[epoch]) == pytest.approx(0.04 + 0.03 * epoch / 9)
        assert dino.heads.temperature == pytest.approx(0.04 + 0.03 * epoch / 10)


def test_without_a_warm_up_the_temperature_is_the_second_one(small):
    dino = made(small, "dino", teacher_temperature=(0.04, 0.07), warmup_epochs=0)
    dino.prepare(Clock(0, 60, 5))
    assert dino.heads.temperature == 0.07


def test_frozen_prototypes_are_left_to_the_bit_by_an_optimizer_with_momentum_and_weight_decay(small):
    dino = made(small, "dino", prototypes=PROTOTYPES, frozen_epochs=2)
    weight = dino.heads.prototypes.online.weight
    optimizer = torch.optim.SGD([p for p in dino.parameters() if p.requires_grad], 0.1, momentum=0.9, weight_decay=0.1)
    for step in range(6):
        before, given = weight.detach().clone(), batch()
        dino.prepare(Clock(step, 60, 2))
        losses = dino(given).losses
        optimizer.zero_grad()
        dino.backward(losses)
        optimizer.step()
        dino.update(Clock(step + 1, 60, 2))
        assert torch.equal(weight, before) == (step < 4)
    assert torch.isfinite(weight).all()


def test_the_network_that_is_kept_is_the_teacher_unless_told_otherwise(small):
    for changes, kept in (({}, "target"), ({"keep": "target"}, "target"), ({"keep": "online"}, "online")):
        dino = made(small, "dino", **changes)
        assert dino.backbone is getattr(dino.networks, kept)


def test_the_student_is_seen_by_the_loss_whichever_network_is_kept(small):
    given, losses = batch(), []
    for keep in ("online", "target"):
        dino = made(small, "dino", keep=keep)
        dino(given).losses["global"].backward()
        losses.append(dino.networks.online.conv1.weight.grad)
        assert dino.networks.target.conv1.weight.grad is None
    assert torch.equal(*losses)


def test_under_co_global_and_local_teacher_have_centres_of_their_own(dino):
    co = modified(dino, COConfig(name="co", weight=1.0))
    given = batch()
    co(given)
    with torch.no_grad():
        encoded = dino.encode(given.views)
        local = [co.positions(view).flatten(0, 1) for view in encoded.target]
        heads = co.local_heads
        rows_NK = torch.cat([heads.prototypes.target(heads.projector.target(local_NC)) for local_NC in local])
    co.update(Clock(1, 60, 5))
    torch.testing.assert_close(heads.centre_P1K[0, 0], 0.1 * rows_NK.mean(0), **EXACT)
    assert not torch.allclose(heads.centre_P1K, dino.heads.centre_P1K)


def test_the_head_is_an_mlp_with_gelu_to_a_unit_vector_and_prototypes_of_unit_length(small):
    plain = made(small, "dino", projector=[32, 32, 16], norm=False, prototypes=PROTOTYPES).heads
    kinds = [type(layer).__name__ for layer in plain.projector.online[0]]
    assert kinds == ["Linear", "GELU", "Linear", "GELU", "Linear"]
    assert shapes(plain.projector.online[0])["0.weight"] == (32, FEATURES)
    z_BD = plain.projector.online(vectors(5, FEATURES))
    torch.testing.assert_close(z_BD, unit(z_BD), **EXACT)
    prototypes = plain.prototypes.online
    assert shapes(prototypes) == {"weight": (PROTOTYPES, 16)}
    torch.testing.assert_close(prototypes(z_BD), z_BD @ unit(prototypes.weight).T, **EXACT)
