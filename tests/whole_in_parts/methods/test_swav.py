"""SwAV against lightly's loss and Sinkhorn–Knopp, and what the queue and the first epochs do.

Lightly's prototypes have a bias, which the paper's and ours have not.
"""

import pytest
import torch
from lightly.loss import SwaVLoss
from lightly.loss.swav_loss import sinkhorn as of_lightly
from torch import Tensor

from tests.every_method import METHODS, MODIFIERS
from tests.whole_in_parts.methods.examples import EXACT, IMAGES, batch, embedded, made, modified, shapes, unit, vectors
from whole_in_parts.config.modifiers.multi_crop import MultiCropConfig
from whole_in_parts.config.runs import Run
from whole_in_parts.methods.joint_embedding import Embedded
from whole_in_parts.methods.swav import sinkhorn
from whole_in_parts.schedules import Clock

LATER = Clock(30, 60, 4)


@pytest.fixture
def swav(small):
    return made(small, "swav", prototypes=10, temperature=0.1)


def scores(vectors_N: int, prototypes: int = 10) -> Tensor:
    """Cosines, as of unit vectors and unit prototypes."""
    return unit(vectors(vectors_N, 16)) @ unit(vectors(prototypes, 16)).T


@pytest.mark.parametrize("iterations", [1, 3, 10])
@pytest.mark.parametrize(("number", "prototypes"), [(12, 10), (7, 30)])
def test_assignments_are_those_of_lightly(iterations, number, prototypes):
    scores_NK = scores(number, prototypes)
    expected = of_lightly(scores_NK.clone(), iterations, 0.05)
    torch.testing.assert_close(sinkhorn(scores_NK, 0.05, iterations), expected, **EXACT)


def test_the_shares_of_a_vector_sum_to_one_exactly_and_those_of_a_prototype_nearly_to_its_part():
    scores_NK = scores(200)
    scores_NK[:, 0] += 1  # all are nearest to one prototype
    few, many = sinkhorn(scores_NK, 0.05, 3), sinkhorn(scores_NK, 0.05, 300)
    ones = torch.ones(200, dtype=torch.float64)
    for shares_NK in (few, many):
        assert (shares_NK >= 0).all()
        torch.testing.assert_close(shares_NK.sum(1), ones, rtol=0, atol=1e-12)
    assert torch.softmax(scores_NK / 0.05, 1)[:, 0].sum() > 190
    part = torch.full((10,), 20.0, dtype=torch.float64)
    torch.testing.assert_close(many.sum(0), part, rtol=1e-6, atol=0)
    torch.testing.assert_close(few.sum(0), part, rtol=0.5, atol=0)


def test_scores_of_any_size_stay_finite_in_single_precision():
    shares_NK = sinkhorn(torch.tensor([[100.0, 99.0], [99.0, 100.0]]), 0.05, 3)
    torch.testing.assert_close(shares_NK, torch.eye(2), rtol=0, atol=1e-6)


def test_the_loss_of_two_views_is_that_of_lightly(swav):
    given = batch()
    global_ = embedded(swav, given)
    expected = SwaVLoss(0.1, 3, 0.05)([score_1BK[0] for score_1BK in global_.online], [])[0]
    torch.testing.assert_close(swav(given).losses["global"], expected, **EXACT)


def test_with_small_crops_and_a_queue_the_loss_is_that_of_lightly(small):
    swav = made(small, "swav", prototypes=10, queue=2 * IMAGES, queue_from_epoch=2)
    options = MultiCropConfig.model_validate(MODIFIERS["multi_crop"].model_dump() | {"average": True})
    method, given = modified(swav, options), batch(small_crops=3)
    swav.prepare(LATER)
    global_ = embedded(swav, given)
    queued = [swav.heads.predictor(queue.vectors_KD) for queue in swav.heads.queues]
    large, small_ones = ([score_1BK[0] for score_1BK in part] for part in (global_.online[:2], global_.online[2:]))
    expected = SwaVLoss(0.1, 3, 0.05)(large, small_ones, queued)[0]
    torch.testing.assert_close(method(given).losses["global"], expected, **EXACT)


def test_the_queue_of_a_view_is_filled_from_its_epoch_and_used_once_it_is_full(small):
    swav = made(small, "swav", prototypes=10, queue=2 * IMAGES, queue_from_epoch=2)
    z_PBD = unit(vectors(1, IMAGES, 16))
    earlier = [queue.vectors_KD.clone() for queue in swav.heads.queues]
    assert not torch.equal(*earlier)

    def balanced_by(*queued: Tensor) -> Tensor:
        return sinkhorn(swav.heads.predictor(torch.cat([z_PBD[0], *queued])), 0.05, 3)[:IMAGES]

    # An epoch has four steps, and two batches fill a queue.
    for step, enqueued, full in (
        (0, 0, False),
        (7, 0, False),
        (8, 1, False),
        (9, 1, False),
        (10, 1, True),
        (40, 1, True),
    ):
        swav.prepare(Clock(step, 60, 4))
        for view, queue in enumerate(swav.heads.queues):
            expected_BK = balanced_by(*([queue.vectors_KD] if full else []))
            torch.testing.assert_close(swav.heads.assign(z_PBD, view)[0], expected_BK, **EXACT)
            assert len(queue.pending) == enqueued
            queue.pending.clear()
    assert not torch.allclose(balanced_by(), balanced_by(earlier[0]))


def test_a_view_enters_its_own_queue(small):
    swav = made(small, "swav", prototypes=10, queue=2 * IMAGES, queue_from_epoch=0)
    swav.prepare(LATER)
    global_ = embedded(swav, batch())
    swav.update(LATER)
    for queue, z_1BD in zip(swav.heads.queues, global_.projected, strict=True):
        torch.testing.assert_close(queue.vectors_KD[:IMAGES], z_1BD[0].detach(), rtol=0, atol=0)


def test_without_a_queue_nothing_is_kept(swav):
    swav.prepare(LATER)
    swav(batch())
    assert len(swav.heads.queues) == 0


def test_no_gradient_reaches_the_assignments(swav):
    global_: Embedded = embedded(swav, batch())
    assert not any(assigned.requires_grad for assigned in global_.target)
    assert all(score.requires_grad for score in global_.online)


def test_embeddings_and_prototypes_are_unit_vectors_without_a_bias(swav):
    global_ = embedded(swav, batch())
    prototypes = swav.heads.predictor
    assert shapes(prototypes) == {"weight": (10, 16)}
    for z_PBD, score_PBK in zip(global_.projected, global_.online, strict=True):
        torch.testing.assert_close(z_PBD, unit(z_PBD), **EXACT)
        torch.testing.assert_close(score_PBK, z_PBD @ unit(prototypes.weight).T, **EXACT)


@pytest.mark.parametrize(("step", "frozen"), [(0, True), (7, True), (8, False)])
def test_prototypes_are_frozen_for_their_epochs(small, step, frozen):
    swav = made(small, "swav", frozen_epochs=2)
    swav.prepare(Clock(step, 60, 4))
    swav(batch()).losses["global"].backward()
    assert (swav.heads.predictor.weight.grad is None) == frozen


def test_a_queue_that_whole_batches_do_not_fill_is_refused(small):
    run = small.runs["byol"].model_dump() | {"method": METHODS["swav"].model_dump() | {"queue": 3840 + 32}}
    with pytest.raises(
        ValueError, match=r"method\.queue: 3872 is not divisible by 64, the embeddings that enter it in"
    ):
        Run.model_validate(run)
