import numpy as np
import pytest
import torch
from matplotlib.image import imread
from torch import nn

from whole_in_parts.config.analyses.receptive_field import ReceptiveFieldConfig
from whole_in_parts.evaluation.analyses import receptive_field
from whole_in_parts.evaluation.analyses.receptive_field import SHOWN, measure
from whole_in_parts.models.backbone import Backbone


class Square(Backbone):
    """A map of which each position is the sum of a square of pixels, the middle one far above the others."""

    features, widths = 1, [1]

    def __init__(self, kernel: int, middle: float):
        super().__init__([0.0], [1.0])
        self.sum = nn.Conv2d(1, 1, kernel, padding=kernel // 2, bias=False)
        nn.init.ones_(self.sum.weight)
        self.sum.weight.data[:, :, kernel // 2, kernel // 2] = middle

    def maps(self, x_BCHW):
        return [self.sum(x_BCHW)]


def test_the_side_of_a_field_is_the_root_of_how_many_pixels_move_the_middle_of_it(context):
    one = context._replace(backbone=Square(3, middle=1.0), indices=context.indices[:4])
    metrics = measure(one, ReceptiveFieldConfig(name="receptive_field", stride=8))  # the corner: 2×2 pixels are inside
    assert metrics == {"side_5": 2.0, "side_32": 2.0}


def test_pixels_count_by_their_share_of_the_largest_gradient(context):
    one = context._replace(backbone=Square(3, middle=10.0), indices=context.indices[:4])
    metrics = measure(one, ReceptiveFieldConfig(name="receptive_field", stride=8))  # the others move it a tenth as much
    assert metrics == {"side_5": 2.0, "side_32": 1.0}


def test_the_mean_is_over_images_and_positions_and_the_field_of_the_middle_is_kept(context):
    metrics = measure(context, ReceptiveFieldConfig(name="receptive_field", stride=2))
    assert 1 <= metrics["side_32"] <= metrics["side_5"] <= 8
    field_HW = np.load(context.directory / "field.npy")
    assert field_HW.shape == (8, 8)
    assert field_HW.max() == pytest.approx(1)


def test_no_gradient_is_left_in_the_backbone(context):
    measure(context, ReceptiveFieldConfig(name="receptive_field", stride=2))
    assert all(parameter.grad is None for parameter in context.backbone.parameters())
    assert torch.is_grad_enabled()


def test_the_picture_has_four_fields_of_which_each_lies_at_its_position(context, monkeypatch):
    drawn = []
    genuine = receptive_field.plot
    monkeypatch.setattr(receptive_field, "plot", lambda maps: drawn.append(maps) or genuine(maps))
    one = context._replace(backbone=Square(3, middle=1.0), indices=context.indices[:4])
    measure(one, ReceptiveFieldConfig(name="receptive_field", stride=8))
    assert imread(context.directory / "field.png").shape[:2] == (345, 1200)
    pixels = torch.arange(8.0)
    for field_HW, (row, column) in zip(drawn[0], SHOWN, strict=True):
        weight_HW = field_HW / field_HW.sum()
        at = [float((weight_HW.sum(across) * pixels).sum()) for across in (1, 0)]
        assert at == [0.5 if share == 0 else 4.0 for share in (row, column)]  # at the edge a half of it is outside


def test_single_images_have_their_own_fields_at_the_four_positions(context):
    measure(context, ReceptiveFieldConfig(name="receptive_field", stride=2, shown=3))
    maps_IPHW = np.load(context.directory / "field_images.npy")
    assert maps_IPHW.shape == (3, 4, 8, 8)
    np.testing.assert_allclose(maps_IPHW.max((2, 3)), 1)
    images = context.test[context.indices[:3]].float() / 255
    expected = receptive_field.relative_gradient(context.backbone, images, 2, 2)  # the middle of a map of 4×4
    torch.testing.assert_close(torch.from_numpy(maps_IPHW[:, 3]), expected)
    assert not np.allclose(maps_IPHW[0], maps_IPHW[1])
    assert imread(context.directory / "field_images.png").shape[1] == 1200


def test_no_image_is_shown_if_none_is_asked_for(context):
    measure(context, ReceptiveFieldConfig(name="receptive_field", stride=2, shown=0))
    assert not list(context.directory.glob("field_images*"))
