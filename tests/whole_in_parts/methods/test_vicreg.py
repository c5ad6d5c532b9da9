"""VICReg against lightly's, which follows the authors' code, and where each of its terms is zero."""

import pytest
import torch
from lightly.loss import VICRegLoss
from torch import Tensor

from tests.whole_in_parts.methods.examples import EXACT, batch, embedded, made, shapes, vectors
from whole_in_parts.methods.vicreg import covariance, variance


@pytest.fixture
def vicreg(small):
    return made(small, "vicreg")


def whitened(images: int, width: int, deviation: float = 1.0) -> Tensor:
    """Embeddings (1, B, D) whose covariance is the identity times the squared deviation."""
    columns_BD = torch.linalg.qr(torch.cat([torch.ones(images, 1, dtype=torch.float64), vectors(images, width)], 1))[0]
    return deviation * (images - 1) ** 0.5 * columns_BD[None, :, 1:]


def test_the_loss_of_two_views_is_that_of_lightly(vicreg):
    given = batch()
    first_BD, second_BD = (z_1BD[0] for z_1BD in embedded(vicreg, given).projected)
    torch.testing.assert_close(vicreg(given).losses["global"], VICRegLoss(25, 25, 1)(first_BD, second_BD), **EXACT)


def test_the_weights_are_those_of_the_options_and_solo_learns_variance_is_twice_as_large(small):
    vicreg = made(small, "vicreg", invariance=3.0, variance=2 * 7.0, covariance=2.0)
    first_BD, second_BD = 0.5 * vectors(6, 16), 0.5 * vectors(6, 16)
    first_1BD, second_1BD = first_BD[None], second_BD[None]
    ours = vicreg.align(first_1BD, second_1BD, vicreg.heads) + vicreg.align(second_1BD, first_1BD, vicreg.heads)
    summed = sum(torch.relu(1 - (z_BD.var(0) + 1e-4).sqrt()).mean() for z_BD in (first_BD, second_BD))
    assert summed > 0.5
    expected = VICRegLoss(3, 0, 2)(first_BD, second_BD) + 7 * summed
    torch.testing.assert_close(ours, expected, **EXACT)


def test_of_whitened_embeddings_only_the_distance_is_left(vicreg):
    first_1BD, second_1BD = whitened(12, 5), whitened(12, 5)
    assert float(variance(first_1BD)) == 0
    assert float(covariance(first_1BD)) < 1e-20
    ours = vicreg.align(first_1BD, second_1BD, vicreg.heads) + vicreg.align(second_1BD, first_1BD, vicreg.heads)
    torch.testing.assert_close(ours, 25 * (first_1BD - second_1BD).square().mean(), **EXACT)
    assert float(vicreg.align(first_1BD, first_1BD, vicreg.heads)) < 1e-20


@pytest.mark.parametrize("deviation", [0.0, 0.3, 0.9])
def test_the_variance_term_is_how_far_the_deviation_is_below_one(deviation):
    expected = 1 - (deviation**2 + 1e-4) ** 0.5
    assert float(variance(whitened(12, 5, deviation))) == pytest.approx(expected, rel=1e-12)


def test_the_covariance_term_is_the_sum_of_squares_beside_the_diagonal_by_the_width():
    z_BD = vectors(9, 4)
    c_DD = torch.cov(z_BD.T)
    expected = sum(float(c_DD[i, j]) ** 2 for i in range(4) for j in range(4) if i != j) / 4
    assert float(covariance(z_BD[None])) == pytest.approx(expected, rel=1e-12)


def test_the_gradient_reaches_both_views(vicreg):
    views = [vectors(1, 6, 16, grad=True) for _ in range(2)]
    vicreg.align(*views, vicreg.heads).backward()
    assert all(view.grad.norm() > 0.01 for view in views)
    assert all(target.requires_grad for target in embedded(vicreg, batch()).target)


def test_the_last_layer_of_the_expander_has_no_bias(vicreg):
    assert list(shapes(vicreg.heads.projector)) == ["0.weight", "0.bias", "1.weight", "1.bias", "3.weight"]
