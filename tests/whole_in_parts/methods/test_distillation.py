"""The heads of self-distillation: their first weights, the centre, and the targets."""

import pytest
import torch
from torch import nn

from tests.every_method import METHODS
from tests.whole_in_parts.methods.examples import EXACT, vectors
from whole_in_parts.methods.distillation import DistillationHeads
from whole_in_parts.schedules import Clock

MOMENTA = {"momentum": (0.98, 1.0), "centre_momentum": 0.9}
SIZES = {"norm": False, "prototypes": 7, "projector": [40, 30, 16]}
OPTIONS = METHODS["dino"].model_copy(update=MOMENTA | SIZES)


def heads(centres: int = 1) -> DistillationHeads:
    return DistillationHeads(12, OPTIONS, centres).double()


def test_the_layers_start_from_a_truncated_normal_distribution_of_deviation_002_and_zero_biases():
    wide = OPTIONS.model_copy(update={"projector": [400, 300, 16]})
    linear = [layer for layer in DistillationHeads(200, wide).projector.online[0] if isinstance(layer, nn.Linear)]
    assert len(linear) == 3
    for layer in linear:
        assert float(layer.weight.detach().std()) == pytest.approx(0.02, rel=0.03)
        assert (layer.bias == 0).all()


@pytest.mark.parametrize("centres", [1, 4])
def test_a_target_is_the_softmax_of_the_scores_less_their_centre_at_the_teachers_temperature(centres):
    distillation, x_PBC = heads(centres), vectors(4, 5, 12)
    distillation.centre_P1K.copy_(0.1 * vectors(centres, 1, 7))
    distillation.temperature = 0.05
    target_PBK = distillation.target(x_PBC)
    for position in range(4):
        scores_BK = distillation.prototypes.target(distillation.projector.target(x_PBC[position]))
        centre_1K = distillation.centre_P1K[position if centres > 1 else 0]
        expected = torch.softmax((scores_BK - centre_1K) / 0.05, 1)
        torch.testing.assert_close(target_PBK[position], expected, **EXACT)


@pytest.mark.parametrize("centres", [1, 4])
def test_the_centre_moves_by_a_tenth_to_the_mean_of_the_scores_of_all_views_of_the_step(centres):
    distillation, views = heads(centres), [vectors(4, 5, 12), vectors(4, 5, 12)]
    before = vectors(centres, 1, 7)
    distillation.centre_P1K.copy_(before)
    for x_PBC in views:
        distillation.target(x_PBC)
    scores = [
        torch.cat(
            [distillation.prototypes.target(distillation.projector.target(x_PBC[position])) for x_PBC in views]
        ).mean(0)
        for position in range(4)
    ]
    mean_P1K = torch.stack(scores)[:, None] if centres > 1 else torch.stack(scores).mean(0)[None, None]
    distillation.update(Clock(1, 10, 5))
    torch.testing.assert_close(distillation.centre_P1K, 0.9 * before + 0.1 * mean_P1K.detach(), **EXACT)
    assert distillation.batch_centres == []


def test_the_targets_of_projector_and_prototypes_follow_one_schedule():
    distillation = heads()
    distillation.target(vectors(1, 5, 12))
    with torch.no_grad():
        for twin in (distillation.projector, distillation.prototypes):
            for parameter in twin.online.parameters():
                parameter += 1
    distillation.update(Clock(5, 10, 5))  # half of the way from 0.98 to 1
    for twin in (distillation.projector, distillation.prototypes):
        for target, online in zip(twin.target.parameters(), twin.online.parameters(), strict=True):
            torch.testing.assert_close(online - target, torch.full_like(target, 0.99))


def test_the_scores_of_the_student_are_not_centred():
    distillation, x_PBC = heads(), vectors(1, 5, 12)
    before = distillation.predict(distillation.project(x_PBC))
    distillation.centre_P1K.fill_(3.0)
    assert torch.equal(distillation.predict(distillation.project(x_PBC)), before)
