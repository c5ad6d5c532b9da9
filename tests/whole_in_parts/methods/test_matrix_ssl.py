"""Matrix-SSL against matrix logarithms by eigenvalues, where its series converges, and against its formula."""

import pytest
import torch
from torch import Tensor, nn

from tests.whole_in_parts.methods.examples import EXACT, apart, batch, embedded, made, shapes, unit, vectors
from whole_in_parts.methods.matrix_ssl import logarithm

IMAGES, WIDTH = 64, 16
EYE = torch.eye(WIDTH, dtype=torch.float64)


@pytest.fixture
def matrix_ssl(small):
    return made(small, "matrix_ssl")


def covariance(x_BD: Tensor, y_BD: Tensor) -> Tensor:
    """1/B xᵀ J y of unit vectors, where J takes their mean away."""
    images = len(x_BD)
    j_BB = torch.eye(images, dtype=torch.float64) - torch.ones(images, images, dtype=torch.float64) / images
    return unit(x_BD).T @ j_BB @ unit(y_BD) / images


def series(x_DD: Tensor) -> Tensor:
    """Four terms of log x around the identity."""
    less_DD = x_DD - torch.eye(len(x_DD), dtype=torch.float64)
    return sum((-1) ** (n + 1) * torch.linalg.matrix_power(less_DD, n) / n for n in (1, 2, 3, 4))


def matched(prediction_BD: Tensor, target_BD: Tensor, mu=1.0, uniformity=1.0, alignment=1.0) -> Tensor:
    """The loss of one direction in the authors' form, halved: first the target's matrix, then the prediction's."""
    eye_DD = mu * torch.eye(prediction_BD.shape[1], dtype=torch.float64)
    uniform = -torch.trace(uniformity * series(covariance(target_BD, prediction_BD) + eye_DD))
    first, second = (covariance(x_BD, x_BD) + eye_DD for x_BD in (target_BD, prediction_BD))
    return (uniform - alignment * torch.trace(first @ series(second))) / 2


def log_by_eigenvalues(x_DD: Tensor) -> Tensor:
    values_D, vectors_DD = torch.linalg.eigh(x_DD)
    return vectors_DD @ torch.diag(values_D.log()) @ vectors_DD.T


@pytest.mark.parametrize("mu", [1.0, 0.9, 1.2])
def test_the_logarithm_is_that_by_eigenvalues_but_for_the_rest_of_the_series(mu):
    """Of evenly spread vectors the covariance is small; the rest is at most r⁵ / (5 (1 − r)) in spectral norm."""
    z_BD = vectors(IMAGES, WIDTH)
    c_DD = covariance(z_BD, z_BD)
    radius = float(torch.linalg.matrix_norm(c_DD + (mu - 1) * EYE, 2))
    assert 0.05 < radius < 0.4
    missing_DD = logarithm(c_DD[None], mu)[0] - log_by_eigenvalues(c_DD + mu * EYE)
    assert 0 < float(torch.linalg.matrix_norm(missing_DD, 2)) <= radius**5 / (5 * (1 - radius))


def test_the_loss_is_that_with_the_whole_logarithms_but_for_the_rest_of_the_series(matrix_ssl):
    """tr log is the logarithm of the determinant, and |tr(A X)| is at most the trace of A ≥ 0 times the norm of X."""
    p_BD, t_BD = vectors(IMAGES, WIDTH), vectors(IMAGES, WIDTH)
    c_tp, c_tt, c_pp = (covariance(*pair) for pair in ((t_BD, p_BD), (t_BD, t_BD), (p_BD, p_BD)))
    uniform = -torch.linalg.slogdet(c_tp + EYE).logabsdet
    align = -torch.trace((c_tt + EYE) @ log_by_eigenvalues(c_pp + EYE))
    ours = matrix_ssl.align(p_BD[None], t_BD[None], matrix_ssl.heads)
    radii = [float(torch.linalg.matrix_norm(c_DD, 2)) for c_DD in (c_tp, c_pp)]
    rests = [radius**5 / (5 * (1 - radius)) for radius in radii]
    bound = (WIDTH * rests[0] + float(torch.trace(c_tt + EYE)) * rests[1]) / 2
    assert bound < 0.01
    assert float(ours) == pytest.approx(float(uniform + align) / 2, abs=bound)


def test_the_loss_of_two_views_is_the_mean_of_both_directions(matrix_ssl):
    apart(matrix_ssl)
    given = batch()
    global_ = embedded(matrix_ssl, given)
    expected = matched(global_.online[0][0], global_.target[1][0]) + matched(global_.online[1][0], global_.target[0][0])
    torch.testing.assert_close(matrix_ssl(given).losses["global"], expected, **EXACT)


def test_the_constants_of_the_options_are_those_of_the_formula(small):
    constants = {"mu": 0.7, "uniformity": 0.3, "alignment": 2.5}
    matrix_ssl, p_BD, t_BD = made(small, "matrix_ssl", **constants), vectors(6, WIDTH), vectors(6, WIDTH)
    ours = matrix_ssl.align(p_BD[None], t_BD[None], matrix_ssl.heads)
    torch.testing.assert_close(ours, matched(p_BD, t_BD, **constants), **EXACT)


def test_the_covariance_of_the_prediction_is_drawn_to_that_of_the_target(small):
    """With the target fixed, the alignment is least where both have one covariance (up to the rest of the series)."""
    matrix_ssl = made(small, "matrix_ssl", uniformity=0.0)
    target_1BD = vectors(1, IMAGES, WIDTH) * torch.linspace(0.2, 2, WIDTH, dtype=torch.float64)
    prediction_1BD = vectors(1, IMAGES, WIDTH).requires_grad_()

    def distance() -> float:
        pair = (prediction_1BD.detach()[0], target_1BD[0])
        return float(torch.linalg.matrix_norm(covariance(pair[0], pair[0]) - covariance(pair[1], pair[1])))

    before, optimizer = distance(), torch.optim.Adam([prediction_1BD], 0.05)
    for _ in range(200):
        optimizer.zero_grad()
        matrix_ssl.align(prediction_1BD, target_1BD, matrix_ssl.heads).backward()
        optimizer.step()
    assert distance() < before / 5


def test_no_gradient_reaches_the_target(matrix_ssl):
    assert not any(target.requires_grad for target in embedded(matrix_ssl, batch()).target)


def test_the_heads_are_those_of_simsiam(matrix_ssl):
    projector, predictor = matrix_ssl.heads.projector.online, matrix_ssl.heads.predictor
    assert [type(layer) for layer in projector] == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear, nn.BatchNorm1d]
    assert list(shapes(projector)) == ["0.weight", "1.weight", "1.bias", "3.weight"]
    assert list(shapes(predictor)) == ["0.weight", "1.weight", "1.bias", "3.weight", "3.bias"]
