"""ARB against its formula, with bases by singular values, and against what makes a base the nearest orthonormal one."""

import pytest
import torch
from torch import Tensor

from tests.every_method import METHODS
from tests.whole_in_parts.methods.examples import EXACT, batch, embedded, made, shapes, vectors
from whole_in_parts.methods.arb import nearest_base, standardised

EPSILON = 1e-5
SIZES = pytest.mark.parametrize("images", [6, 40], ids=["fewer images than dimensions", "more"])


@pytest.fixture
def arb(small):
    return made(small, "arb", groups=1)


def scaled(z_BD: Tensor) -> Tensor:
    """Mean 0 and deviation 1, by the unbiased variance."""
    centred_BD = z_BD - z_BD.mean(0)
    return centred_BD / ((centred_BD.square().sum(0) / (len(z_BD) - 1)).sqrt() + EPSILON)


def base_by_singular_values(z_BD: Tensor) -> Tensor:
    """z = U S Vᵀ with each singular value s made s / √(s² / (B − 1) + ε), which is nearly √(B − 1)."""
    u_BN, s_N, v_ND = torch.linalg.svd(z_BD, full_matrices=False)
    return u_BN @ torch.diag(s_N / (s_N.square() / (len(z_BD) - 1) + EPSILON).sqrt()) @ v_ND


def defined(online_BD: Tensor, target_BD: Tensor) -> Tensor:
    """Σ_k (1/B Σ_b z_bk base_bk − 1)² of one direction."""
    base_BD = base_by_singular_values(scaled(target_BD))
    online_BD = scaled(online_BD)
    return sum((online_BD[:, k] @ base_BD[:, k] / len(online_BD) - 1) ** 2 for k in range(online_BD.shape[1]))


@SIZES
def test_the_loss_of_two_views_is_the_sum_of_both_directions(arb, images):
    given = batch(images=images)
    first_BD, second_BD = (z_1BD[0] for z_1BD in embedded(arb, given).projected)
    expected = defined(first_BD, second_BD) + defined(second_BD, first_BD)
    torch.testing.assert_close(arb(given).losses["global"], expected, rtol=1e-9, atol=1e-9)


@SIZES
def test_between_one_position_and_many_the_loss_is_the_mean_over_the_many(arb, images):
    one_1BD, many_PBD = vectors(1, images, 8), vectors(5, images, 8)
    to_many = sum(defined(one_1BD[0], z_BD) for z_BD in many_PBD) / 5
    to_one = sum(defined(z_BD, one_1BD[0]) for z_BD in many_PBD) / 5
    torch.testing.assert_close(arb.align(one_1BD, many_PBD, arb.heads), to_many, **EXACT)
    torch.testing.assert_close(arb.align(many_PBD, one_1BD, arb.heads), to_one, **EXACT)


def test_the_base_has_uncorrelated_dimensions_and_none_such_is_nearer():
    z_BD = standardised(vectors(1, 40, 5))[0]
    base_BD = nearest_base(z_BD[None, None])[0, 0]
    eye_DD = torch.eye(5, dtype=torch.float64)
    torch.testing.assert_close(base_BD.T @ base_BD / 39, eye_DD, rtol=0, atol=1e-3)
    distance = float((z_BD - base_BD).norm())
    for _ in range(50):
        rotation_DD = torch.linalg.matrix_exp(0.2 * (turn_DD := vectors(5, 5)) - 0.2 * turn_DD.T)
        assert float((z_BD - base_BD @ rotation_DD).norm()) > distance


def test_each_group_of_dimensions_that_is_drawn_has_a_base_of_its_own(small):
    arb, online_BD, target_BD = made(small, "arb", groups=2), vectors(12, 16), vectors(12, 16)
    torch.manual_seed(3)
    loss = arb.align(online_BD[None], target_BD[None], arb.heads)
    torch.manual_seed(3)
    halves = torch.randperm(16).split(8)
    expected = sum(defined(online_BD[:, half], target_BD[:, half]) for half in halves)
    torch.testing.assert_close(loss, expected, **EXACT)


def test_a_group_for_each_dimension_leaves_the_correlation_of_the_views(small):
    """The base of one dimension is that dimension, but for ε."""
    arb, online_BD, target_BD = made(small, "arb", groups=16), vectors(12, 16), vectors(12, 16)
    correlations = torch.stack(
        [torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(online_BD.T, target_BD.T, strict=True)]
    )
    expected = (correlations * 11 / 12 - 1).square().sum()
    torch.testing.assert_close(arb.align(online_BD[None], target_BD[None], arb.heads), expected, rtol=1e-4, atol=0)


def test_the_gradient_reaches_the_view_that_is_aligned_and_not_the_base(arb):
    online_1BD, target_1BD = (vectors(1, 6, 16, grad=True) for _ in range(2))
    arb.align(online_1BD, target_1BD, arb.heads).backward()
    assert online_1BD.grad.norm() > 0.01
    assert target_1BD.grad is None


def test_a_collapsed_batch_costs_one_for_each_dimension_and_its_gradient_is_finite(arb):
    z_1BD = torch.ones(1, 6, 16, dtype=torch.float64, requires_grad=True)
    loss = arb.align(z_1BD, z_1BD, arb.heads)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(16, rel=1e-12)
    assert z_1BD.grad.isfinite().all()


def test_in_single_precision_a_batch_of_one_direction_has_a_finite_base():
    z_BD = standardised(vectors(1, 64, 1).float().expand(-1, -1, 512))[0]
    base_BD = nearest_base(z_BD[None, None])[0, 0]
    assert base_BD.isfinite().all()
    assert float(base_BD.norm()) == pytest.approx(63**0.5, rel=1e-3)


def test_no_layer_of_the_projector_has_a_bias(arb):
    assert list(shapes(arb.heads.projector)) == ["0.weight", "1.weight", "1.bias", "3.weight"]


def test_groups_that_do_not_divide_the_embedding_are_refused():
    with pytest.raises(ValueError, match="groups: 3 does not divide the 16 dimensions of the embedding"):
        METHODS["arb"].model_validate(METHODS["arb"].model_dump() | {"groups": 3})
