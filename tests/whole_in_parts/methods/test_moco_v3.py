"""MoCo v3 against its Algorithm 1, written out."""

import pytest
import torch
from torch import nn

from tests.whole_in_parts.methods.examples import EXACT, apart, batch, embedded, made, shapes, unit, vectors

TEMPERATURE = 0.2


@pytest.fixture
def moco(small):
    return made(small, "moco_v3", temperature=TEMPERATURE)


def contrast(query_BD, key_BD):
    """2τ times the mean cross-entropy of the right key among all keys of the batch."""
    scores_BB = unit(query_BD) @ unit(key_BD).T / TEMPERATURE
    terms = [torch.logsumexp(scores_BB[image], 0) - scores_BB[image, image] for image in range(len(query_BD))]
    return 2 * TEMPERATURE * sum(terms) / len(terms)


def test_the_loss_is_the_sum_of_both_directions_of_the_contrast_times_twice_the_temperature(moco):
    apart(moco)
    given = batch()
    global_ = embedded(moco, given)
    expected = contrast(global_.online[0][0], global_.target[1][0]) + contrast(
        global_.online[1][0], global_.target[0][0]
    )
    torch.testing.assert_close(moco(given).losses["global"], expected, **EXACT)


def test_the_negatives_of_a_local_key_are_those_at_its_position(moco):
    query_1BD, key_PBD = vectors(1, 6, 16), vectors(4, 6, 16)
    for query_PBD in (query_1BD, vectors(4, 6, 16)):
        queries = query_PBD.expand(4, -1, -1)
        expected = sum(contrast(queries[position], key_PBD[position]) for position in range(4)) / 4
        torch.testing.assert_close(moco.align(query_PBD, key_PBD, moco.heads), expected, **EXACT)


def test_no_gradient_reaches_the_keys_and_the_predictor_is_online_alone(moco):
    global_ = embedded(moco, batch())
    assert not any(key_PBD.requires_grad for key_PBD in global_.target)
    assert not any("predictor" in name for name, _ in moco.heads.projector.named_parameters())


def test_the_heads_are_those_of_the_authors_for_a_resnet(moco):
    projector, predictor = moco.heads.projector.online, moco.heads.predictor
    assert [type(layer) for layer in projector] == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear, nn.BatchNorm1d]
    assert [type(layer) for layer in predictor] == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]
    assert shapes(projector) == {"0.weight": (32, 32), "1.weight": (32,), "1.bias": (32,), "3.weight": (16, 32)}
    assert shapes(predictor) == {"0.weight": (32, 16), "1.weight": (32,), "1.bias": (32,), "3.weight": (16, 32)}
