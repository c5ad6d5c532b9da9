"""TCR against its formula, and the coding rate where it has a closed form."""

import math

import pytest
import torch

from tests.whole_in_parts.methods.examples import EXACT, batch, embedded, made, shapes, unit, vectors
from whole_in_parts.methods.tcr import coding_rate

EPSILON, INVARIANCE = 0.2, 30.0


@pytest.fixture
def tcr(small):
    return made(small, "tcr", epsilon=EPSILON, invariance=INVARIANCE)


def naive(z_BD):
    """½ log det(I + D / (B ε) ZᵀZ), by the matrix of the dimensions even where there are fewer images."""
    images, width = z_BD.shape
    gram_DD = sum(torch.outer(z_D, z_D) for z_D in unit(z_BD))
    return torch.logdet(torch.eye(width, dtype=torch.float64) + width / (images * EPSILON) * gram_DD) / 2


@pytest.mark.parametrize("images", [6, 40], ids=["fewer images than dimensions", "more"])
def test_the_loss_of_two_views_is_minus_their_mean_coding_rate_and_lambda_times_their_cosine(tcr, images):
    given = batch(images=images)
    first_BD, second_BD = (z_1BD[0] for z_1BD in embedded(tcr, given).projected)
    cosine = sum(unit(a_D) @ unit(b_D) for a_D, b_D in zip(first_BD, second_BD, strict=True)) / images
    expected = -(naive(first_BD) + naive(second_BD)) / 2 - INVARIANCE * cosine
    torch.testing.assert_close(tcr(given).losses["global"], expected, **EXACT)


@pytest.mark.parametrize(("images", "width"), [(8, 8), (3, 8), (1, 8)])
def test_the_rate_of_orthonormal_vectors_is_half_their_number_times_one_logarithm(images, width):
    z_BD = torch.linalg.qr(vectors(width, width))[0][:images]
    expected = images / 2 * math.log(1 + width / (images * EPSILON))
    assert float(coding_rate(z_BD[None], EPSILON)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("images", "width"), [(24, 8), (80, 8)])
def test_the_rate_of_a_batch_that_fills_the_space_evenly_is_the_largest(images, width):
    even_BD = torch.eye(width, dtype=torch.float64).repeat(images // width, 1)
    rate = float(coding_rate(even_BD[None], EPSILON))
    assert rate == pytest.approx(width / 2 * math.log(1 + 1 / EPSILON), rel=1e-12)
    assert float(coding_rate(unit(vectors(1, images, width)), EPSILON)) < rate


@pytest.mark.parametrize("images", [4, 30])
def test_the_rate_of_a_collapsed_batch_is_that_of_one_dimension(images):
    z_BD = unit(vectors(1, 8)).repeat(images, 1)
    expected = math.log(1 + 8 / EPSILON) / 2
    assert float(coding_rate(z_BD[None], EPSILON)) == pytest.approx(expected, rel=1e-12)


def test_half_precision_is_raised_to_single():
    z_PBD = unit(vectors(2, 6, 8)).to(torch.bfloat16)
    rate = coding_rate(z_PBD, EPSILON)
    assert rate.dtype == torch.float32
    torch.testing.assert_close(rate, coding_rate(z_PBD.float(), EPSILON))


def test_the_gradient_reaches_both_views(tcr):
    views = [vectors(1, 6, 16, grad=True) for _ in range(2)]
    tcr.align(*views, tcr.heads).backward()
    assert all(view.grad.norm() > 0.01 for view in views)
    assert all(target.requires_grad for target in embedded(tcr, batch()).target)


def test_the_projector_has_batch_norm_between_its_layers(tcr):
    assert list(shapes(tcr.heads.projector)) == ["0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias"]
