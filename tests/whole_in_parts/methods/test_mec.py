"""MEC against the logarithm of a determinant, where its series converges, and against its formula."""

import pytest
import torch
from torch import nn

from tests.whole_in_parts.methods.examples import EXACT, apart, batch, embedded, made, shapes, unit, vectors
from whole_in_parts.methods.mec import trace_of_log
from whole_in_parts.schedules import Clock

DISTORTION = 64.0


@pytest.fixture
def mec(small):
    return made(small, "mec", distortion=DISTORTION)


def series(x_BB):
    """tr(x − x²/2 + x³/3 − x⁴/4)."""
    return sum((-1) ** (n + 1) * torch.trace(torch.linalg.matrix_power(x_BB, n)) / n for n in (1, 2, 3, 4))


def coded(p_BD, z_BD, ease: float = 1.0):
    """The loss of one direction: −tr T₄(λ p zᵀ) / λ / B, halved; 1/λ = B · 64 / D, as the authors' code has it."""
    images, width = p_BD.shape
    inverse = ease * images * DISTORTION / width
    return -series(unit(p_BD) @ unit(z_BD).T / inverse) * inverse / images / 2


@pytest.mark.parametrize("radius", [0.01, 0.1, 0.4])
def test_four_terms_are_the_logarithm_of_the_determinant_but_for_the_rest_of_the_series(radius):
    """The rest is at most N r⁵ / (5 (1 − r)), for eigenvalues up to r; its sign tells that four terms are taken."""
    x_NN = vectors(5, 5)
    x_NN = x_NN @ x_NN.T
    x_NN = radius * x_NN / torch.linalg.matrix_norm(x_NN, 2)
    exact = torch.linalg.slogdet(torch.eye(5, dtype=torch.float64) + x_NN).logabsdet
    missing = float(exact - trace_of_log(x_NN[None]))
    assert 0 < missing <= 5 * radius**5 / (5 * (1 - radius))
    fifth = float(torch.trace(torch.linalg.matrix_power(x_NN, 5)) / 5)
    assert missing == pytest.approx(fifth, rel=radius)


@pytest.mark.parametrize("value", [0.3, -0.5, 1.0])
def test_of_one_number_the_series_is_that_of_the_logarithm(value):
    expected = value - value**2 / 2 + value**3 / 3 - value**4 / 4
    assert float(trace_of_log(torch.tensor([[[value]]], dtype=torch.float64))) == pytest.approx(expected, rel=1e-12)


def test_the_loss_of_two_views_is_the_mean_of_both_directions(mec):
    apart(mec)
    given = batch()
    global_ = embedded(mec, given)
    expected = coded(global_.online[0][0], global_.target[1][0]) + coded(global_.online[1][0], global_.target[0][0])
    torch.testing.assert_close(mec(given).losses["global"], expected, **EXACT)


def test_with_a_large_distortion_the_loss_is_near_minus_the_cosine(small):
    """Of the series the first term is left; the second is at most B λ / 2, here 3e-7."""
    mec, (p_BD, z_BD) = made(small, "mec", distortion=1e7), (vectors(6, 16), vectors(6, 16))
    both = 2 * mec.align(p_BD[None], z_BD[None], mec.heads)
    torch.testing.assert_close(both, -(unit(p_BD) * unit(z_BD)).sum(1).mean(), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("step", "ease"), [(0, 8.0), (5, 4.5), (9, 1.7), (10, 1.0), (30, 1.0)])
def test_one_by_lambda_falls_from_eight_times_its_value_during_the_warm_up(small, step, ease):
    mec, (p_BD, z_BD) = made(small, "mec", distortion=DISTORTION, warmup_epochs=2), (vectors(6, 16), vectors(6, 16))
    mec.prepare(Clock(step, 40, 5))
    expected = coded(p_BD, z_BD, ease)
    torch.testing.assert_close(mec.align(p_BD[None], z_BD[None], mec.heads), expected, **EXACT)


def test_no_gradient_reaches_the_target(mec):
    assert not any(target.requires_grad for target in embedded(mec, batch()).target)


def test_the_heads_are_those_of_simsiam(mec):
    projector, predictor = mec.heads.projector.online, mec.heads.predictor
    assert [type(layer) for layer in projector] == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear, nn.BatchNorm1d]
    assert list(shapes(projector)) == ["0.weight", "1.weight", "1.bias", "3.weight"]
    assert list(shapes(predictor)) == ["0.weight", "1.weight", "1.bias", "3.weight", "3.bias"]
