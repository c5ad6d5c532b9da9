"""Prototypes and the cross-entropy over them."""

import pytest
import torch

from tests.whole_in_parts.methods.examples import EXACT, unit, vectors
from whole_in_parts.models.prototypes import Normalize, Prototypes, cross_entropy


def test_scores_are_cosines_whatever_the_length_of_the_weights():
    prototypes, z_ND = Prototypes(16, 10).double(), unit(vectors(5, 16))
    expected = z_ND @ unit(prototypes.weight).T
    torch.testing.assert_close(prototypes(z_ND), expected, **EXACT)
    prototypes.weight.data.mul_(7)
    torch.testing.assert_close(prototypes(z_ND), expected, **EXACT)


def test_the_gradient_turns_the_prototypes_and_does_not_lengthen_them():
    prototypes = Prototypes(16, 10).double()
    prototypes(unit(vectors(5, 16))).square().sum().backward()
    along_K = (prototypes.weight.grad * prototypes.weight).sum(1)
    assert prototypes.weight.grad.norm() > 0.1
    torch.testing.assert_close(along_K, torch.zeros(10, dtype=torch.float64), rtol=0, atol=1e-12)


def test_prototypes_start_as_the_weights_of_a_linear_layer():
    """As in the codes of the authors and in solo-learn, where the normalised layer keeps the usual start."""
    weight_KD = Prototypes(100, 2000).weight.detach()
    assert weight_KD.abs().max() <= 0.1
    assert float(weight_KD.std()) == pytest.approx(0.1 / 3**0.5, rel=0.01)


def test_frozen_prototypes_score_alike_let_the_gradient_through_and_get_none():
    prototypes, z_ND = Prototypes(16, 10).double(), vectors(5, 16, grad=True)
    moving = prototypes(z_ND)
    prototypes.frozen = True
    assert torch.equal(prototypes(z_ND), moving)
    prototypes(z_ND).square().sum().backward()
    assert prototypes.weight.grad is None
    assert z_ND.grad.norm() > 0.1


def test_an_optimizer_with_momentum_and_weight_decay_leaves_frozen_prototypes_to_the_bit():
    prototypes = Prototypes(16, 10)
    optimizer = torch.optim.SGD(prototypes.parameters(), 0.1, momentum=0.9, weight_decay=0.1)
    for frozen in (False, True, True, False):
        prototypes.frozen, before, z_ND = frozen, prototypes.weight.detach().clone(), torch.rand(5, 16)
        optimizer.zero_grad()
        prototypes(z_ND.requires_grad_()).square().sum().backward()
        optimizer.step()
        assert torch.equal(prototypes.weight, before) == frozen


def test_vectors_are_brought_to_unit_length():
    x_ND = vectors(5, 16)
    torch.testing.assert_close(Normalize()(x_ND), unit(x_ND), **EXACT)


@pytest.mark.parametrize(("scored", "targets"), [(1, 1), (4, 1), (1, 4), (4, 4)])
def test_the_cross_entropy_is_a_mean_over_positions_and_images(scored, targets):
    scores_PBK, target_PBK = vectors(scored, 3, 5), torch.softmax(vectors(targets, 3, 5), -1)
    terms = []
    for position in range(max(scored, targets)):
        score_BK, target_BK = scores_PBK[min(position, scored - 1)], target_PBK[min(position, targets - 1)]
        for image in range(3):
            predicted_K = torch.softmax(score_BK[image] / 0.1, 0)
            terms.append(-sum(target_BK[image, k] * predicted_K[k].log() for k in range(5)))
    torch.testing.assert_close(cross_entropy(scores_PBK, target_PBK, 0.1), sum(terms) / len(terms), **EXACT)
