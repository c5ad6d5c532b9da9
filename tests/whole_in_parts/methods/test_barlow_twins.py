"""Barlow Twins against lightly's, and against the cross-correlation matrix of the paper, entry by entry."""

import pytest
import torch
from lightly.loss import BarlowTwinsLoss
from torch import Tensor

from tests.whole_in_parts.methods.examples import EXACT, batch, both_ways, embedded, made, shapes, unit, vectors
from whole_in_parts.methods.joint_embedding import Embedded

EPSILON = 1e-5


@pytest.fixture
def barlow_twins(small):
    return made(small, "barlow_twins")


def correlation(first_BD: Tensor, second_BD: Tensor) -> Tensor:
    """The paper's C: of each pair of dimensions, the mean product over the batch of what has mean 0 and variance 1."""
    columns = []
    for z_BD in (first_BD, second_BD):
        centred_BD = z_BD - z_BD.mean(0)
        columns.append(centred_BD / (centred_BD.square().mean(0) + EPSILON).sqrt())
    return torch.einsum("bi,bj->ij", *columns) / len(first_BD)


def defined(first_BD: Tensor, second_BD: Tensor, redundancy: float) -> Tensor:
    """Σ_i (1 − C_ii)² + λ Σ_i Σ_{j ≠ i} C_ij²."""
    c_DD = correlation(first_BD, second_BD)
    dimensions = range(len(c_DD))
    invariance = sum((1 - c_DD[i, i]) ** 2 for i in dimensions)
    return invariance + redundancy * sum(c_DD[i, j] ** 2 for i in dimensions for j in dimensions if i != j)


def both(method, first_BD: Tensor, second_BD: Tensor) -> Tensor:
    """Both directions of the loss of two views with these embeddings."""
    views = [first_BD[None], second_BD[None]]
    return both_ways(method, Embedded(views, views, views))


@pytest.mark.parametrize("images", [6, 40], ids=["fewer images than dimensions", "more"])
def test_the_loss_of_two_views_is_that_of_the_paper_and_of_lightly(barlow_twins, images):
    given = batch(images=images)
    first_BD, second_BD = (z_1BD[0] for z_1BD in embedded(barlow_twins, given).projected)
    loss = barlow_twins(given).losses["global"]
    torch.testing.assert_close(loss, defined(first_BD, second_BD, 5e-3), **EXACT)
    torch.testing.assert_close(loss, BarlowTwinsLoss(5e-3)(first_BD, second_BD), **EXACT)


@pytest.mark.parametrize("redundancy", [0.0, 0.3, 2.0])
def test_lambda_is_the_weight_of_what_is_beside_the_diagonal(small, redundancy):
    barlow_twins, first_BD, second_BD = made(small, "barlow_twins", redundancy=redundancy), vectors(9, 4), vectors(9, 4)
    expected = defined(first_BD, second_BD, redundancy)
    torch.testing.assert_close(both(barlow_twins, first_BD, second_BD), expected, **EXACT)


@pytest.mark.parametrize("images", [6, 40], ids=["fewer images than dimensions", "more"])
def test_between_one_position_and_many_the_loss_is_the_mean_over_the_many(small, images):
    barlow_twins, one_1BD, many_PBD = (
        made(small, "barlow_twins", redundancy=0.3),
        vectors(1, images, 8),
        vectors(5, images, 8),
    )
    expected = sum(defined(one_1BD[0], z_BD, 0.3) for z_BD in many_PBD) / 5 / 2
    torch.testing.assert_close(barlow_twins.align(one_1BD, many_PBD, barlow_twins.heads), expected, **EXACT)
    torch.testing.assert_close(barlow_twins.align(many_PBD, one_1BD, barlow_twins.heads), expected, **EXACT)


def test_the_loss_of_equal_views_with_uncorrelated_dimensions_is_zero_of_any_scale_and_origin(barlow_twins):
    constant_and_rest = torch.cat([torch.ones(12, 1, dtype=torch.float64), vectors(12, 5)], 1)
    z_BD = torch.linalg.qr(constant_and_rest)[0][:, 1:] * torch.tensor([1e3, 2e3, 3e3, 4e3, 5e3]) + 7
    assert float(both(barlow_twins, z_BD, 2 * z_BD - 3)) < 1e-15


def test_dimensions_that_are_all_alike_cost_lambda_for_each_ordered_pair(barlow_twins):
    z_BD = 1e3 * vectors(12, 1).expand(12, 5)
    assert float(both(barlow_twins, z_BD, z_BD)) == pytest.approx(5e-3 * 5 * 4, rel=1e-6)


def test_a_collapsed_batch_costs_one_for_each_dimension_and_its_gradient_is_finite(barlow_twins):
    z_BD = unit(vectors(1, 5)).repeat(12, 1).requires_grad_()
    loss = both(barlow_twins, z_BD, z_BD)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(5, rel=1e-12)
    assert z_BD.grad.isfinite().all()


def test_the_gradient_reaches_both_views(barlow_twins):
    views = [vectors(1, 6, 16, grad=True) for _ in range(2)]
    barlow_twins.align(*views, barlow_twins.heads).backward()
    assert all(view.grad.norm() > 0.01 for view in views)
    assert all(target.requires_grad for target in embedded(barlow_twins, batch()).target)


def test_no_layer_of_the_projector_has_a_bias(barlow_twins):
    assert list(shapes(barlow_twins.heads.projector)) == ["0.weight", "1.weight", "1.bias", "3.weight"]
