"""SimCLR against lightly's NT-Xent, which is the paper's, and against its formula."""

import math

import pytest
import torch
from lightly.loss import NTXentLoss

from tests.whole_in_parts.methods.examples import (
    EXACT,
    FEATURES,
    batch,
    both_ways,
    embedded,
    made,
    shapes,
    unit,
    vectors,
)

TEMPERATURE = 0.2


@pytest.fixture
def simclr(small):
    return made(small, "simclr", temperature=TEMPERATURE)


def test_the_loss_of_two_views_is_that_of_lightly(simclr):
    given = batch()
    first_BD, second_BD = (z_1BD[0] for z_1BD in embedded(simclr, given).projected)
    expected = NTXentLoss(TEMPERATURE)(first_BD, second_BD)
    torch.testing.assert_close(simclr(given).losses["global"], expected, **EXACT)


def test_each_of_the_2b_views_has_one_right_candidate_and_2b_minus_2_wrong_ones(simclr):
    first_BD, second_BD = vectors(5, 16), vectors(5, 16)
    views = torch.cat([unit(first_BD), unit(second_BD)])
    terms = []
    for one in range(10):
        right, total = (one + 5) % 10, 0.0
        for other in range(10):
            if other != one:
                total += math.exp(float(views[one] @ views[other]) / TEMPERATURE)
        terms.append(math.log(total) - float(views[one] @ views[right]) / TEMPERATURE)
    first_1BD, second_1BD = first_BD[None], second_BD[None]
    ours = simclr.align(first_1BD, second_1BD, simclr.heads) + simclr.align(second_1BD, first_1BD, simclr.heads)
    assert float(ours) == pytest.approx(sum(terms) / 10, rel=1e-12)


def test_the_gradient_reaches_both_views_and_is_that_of_lightly(simclr):
    ours, theirs = ([vectors(6, 16, grad=True) for _ in range(2)] for _ in range(2))
    for own, other in zip(ours, theirs, strict=True):
        other.data.copy_(own.data)
    first_1BD, second_1BD = (z_BD[None] for z_BD in ours)
    loss = simclr.align(first_1BD, second_1BD, simclr.heads) + simclr.align(second_1BD, first_1BD, simclr.heads)
    loss.backward()
    NTXentLoss(TEMPERATURE)(*theirs).backward()
    for own, other in zip(ours, theirs, strict=True):
        assert own.grad.norm() > 0.01
        torch.testing.assert_close(own.grad, other.grad, **EXACT)


def test_the_targets_are_the_projections_with_their_gradient(simclr):
    global_ = embedded(simclr, batch())
    assert all(target is projected for target, projected in zip(global_.target, global_.projected, strict=True))
    assert all(target.requires_grad for target in global_.target)
    assert both_ways(simclr, global_).requires_grad


@pytest.mark.parametrize("norm", [True, False])
def test_the_projector_has_batch_norms_only_if_asked_for(small, norm):
    projector = made(small, "simclr", norm=norm).heads.projector
    kinds = [type(layer).__name__ for layer in projector]
    assert kinds == ["Linear", *(["BatchNorm1d"] * norm), "ReLU", "Linear"]
    assert shapes(projector)["0.weight"] == (32, FEATURES)
