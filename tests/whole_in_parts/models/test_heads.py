"""Heads on vectors and on maps, and what layers an MLP has."""

import pytest
import torch
from torch import nn

from tests.whole_in_parts.methods.examples import EXACT, vectors
from whole_in_parts.models.heads import Heads, apply_per_position, mlp

LINEAR, NORM, RELU = nn.Linear, nn.BatchNorm1d, nn.ReLU


def test_a_head_on_all_positions_is_a_1x1_convolution_with_a_batch_norm_over_images_and_positions():
    head, local_BCNN = mlp([5, 7, 3]).double(), vectors(4, 5, 3, 3)
    first, norm, _, last = head
    x_BCNN = torch.conv2d(local_BCNN, first.weight[:, :, None, None], first.bias)
    norm_2d = nn.BatchNorm2d(7).double()
    norm_2d.load_state_dict(norm.state_dict())
    x_BCNN = norm_2d(x_BCNN).relu()
    expected = torch.conv2d(x_BCNN, last.weight[:, :, None, None], last.bias)
    ours_PBD = apply_per_position(head, local_BCNN.flatten(2).permute(2, 0, 1))
    torch.testing.assert_close(ours_PBD, expected.flatten(2).permute(2, 0, 1), **EXACT)
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(norm, name), getattr(norm_2d, name), **EXACT)


@pytest.mark.parametrize(
    ("options", "kinds", "biases"),
    [
        ({}, [LINEAR, NORM, RELU, LINEAR, NORM, RELU, LINEAR], [True, True, True]),
        ({"norm": False}, [LINEAR, RELU, LINEAR, RELU, LINEAR], [True, True, True]),
        ({"bias": False}, [LINEAR, NORM, RELU, LINEAR, NORM, RELU, LINEAR], [False, False, False]),
        ({"last_bias": False}, [LINEAR, NORM, RELU, LINEAR, NORM, RELU, LINEAR], [True, True, False]),
        ({"bias": False, "last_bias": True}, [LINEAR, NORM, RELU, LINEAR, NORM, RELU, LINEAR], [False, False, True]),
        (
            {"bias": False, "last_norm": True},
            [LINEAR, NORM, RELU, LINEAR, NORM, RELU, LINEAR, NORM],
            [False, False, False],
        ),
        ({"norm": False, "activation": nn.GELU}, [LINEAR, nn.GELU, LINEAR, nn.GELU, LINEAR], [True, True, True]),
    ],
    ids=str,
)
def test_the_layers_of_an_mlp(options, kinds, biases):
    layers = mlp([5, 7, 6, 3], **options)
    assert [type(layer) for layer in layers] == kinds
    linear = [layer for layer in layers if isinstance(layer, LINEAR)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(5, 7), (7, 6), (6, 3)]
    assert [layer.bias is not None for layer in linear] == biases
    norms = [layer for layer in layers if isinstance(layer, NORM)]
    assert all(norm.affine for norm in (norms[:-1] if options.get("last_norm") else norms))
    assert not options.get("last_norm") or not norms[-1].affine


def test_an_mlp_of_two_widths_is_one_linear_layer():
    assert [type(layer) for layer in mlp([5, 3])] == [LINEAR]


def test_without_a_predictor_a_projection_is_its_own_prediction():
    heads, z_PBD = Heads(mlp([5, 3])), torch.rand(2, 4, 3)
    assert torch.equal(heads.predict(z_PBD), z_PBD)
