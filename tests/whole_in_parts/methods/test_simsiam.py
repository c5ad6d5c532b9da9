"""SimSiam against lightly's cosine similarity, and its heads against the paper's section 3."""

import pytest
import torch
from lightly.loss import NegativeCosineSimilarity
from torch import nn

from tests.whole_in_parts.methods.examples import EXACT, batch, embedded, made, shapes, unit, vectors


@pytest.fixture
def simsiam(small):
    return made(small, "simsiam")


def test_the_loss_of_two_views_is_the_mean_of_both_directions_of_lightly(simsiam):
    given, criterion = batch(), NegativeCosineSimilarity()
    global_ = embedded(simsiam, given)
    (p0, p1), (z0, z1) = global_.online, global_.projected
    expected = (criterion(p0[0], z1[0]) + criterion(p1[0], z0[0])) / 2
    torch.testing.assert_close(simsiam(given).losses["global"], expected, **EXACT)


def test_one_direction_is_minus_half_the_cosine_of_prediction_and_projection(simsiam):
    p_BD, z_BD = vectors(6, 16), vectors(6, 16)
    expected = -(unit(p_BD) * unit(z_BD)).sum(1).mean() / 2
    torch.testing.assert_close(simsiam.align(p_BD[None], z_BD[None], simsiam.heads), expected, **EXACT)


def test_no_gradient_reaches_the_projection_that_is_predicted(simsiam):
    global_ = embedded(simsiam, batch())
    for target, projected in zip(global_.target, global_.projected, strict=True):
        assert torch.equal(target, projected)
        assert projected.requires_grad
        assert not target.requires_grad


def test_the_gradient_is_that_of_the_predictions_alone(simsiam):
    """With the targets as constants, the loss has the same gradient."""
    given = batch()
    constants = [z_1BD.detach().clone() for z_1BD in embedded(simsiam, given).projected]
    simsiam(given).losses["global"].backward()
    ours = {name: parameter.grad.clone() for name, parameter in simsiam.named_parameters()}
    simsiam.zero_grad()
    online = embedded(simsiam, given).online
    sum(simsiam.align(online[n], constants[1 - n], simsiam.heads) for n in (0, 1)).backward()
    for name, parameter in simsiam.named_parameters():
        torch.testing.assert_close(ours[name], parameter.grad, **EXACT)


def test_the_projector_ends_in_a_batch_norm_without_parameters_and_only_the_last_layer_has_a_bias(simsiam):
    projector, predictor = simsiam.heads.projector, simsiam.heads.predictor
    assert [type(layer) for layer in projector] == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear, nn.BatchNorm1d]
    assert [type(layer) for layer in predictor] == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]
    assert shapes(projector) == {"0.weight": (32, 32), "1.weight": (32,), "1.bias": (32,), "3.weight": (16, 32)}
    assert shapes(predictor) == {
        "0.weight": (32, 16),
        "1.weight": (32,),
        "1.bias": (32,),
        "3.weight": (16, 32),
        "3.bias": (16,),
    }
