import pytest
import torch

from tests.whole_in_parts.models.backbones.examples import alexnet
from whole_in_parts.models.backbone import build_backbone


def test_at_64_pixels_the_map_is_192_by_7_by_7_and_the_global_representation_has_4096_features():
    with torch.device("meta"):
        backbone = build_backbone(alexnet())
    assert backbone.map_sizes(64) == [31, 15, 15, 15, 7]
    assert (backbone.local_features, backbone.features) == (192, 4096)


@pytest.mark.parametrize("size", [48, 96])
def test_images_of_another_size_are_refused_by_the_name_of_the_key(size):
    backbone = build_backbone(alexnet(64, width=4, features=8))
    message = rf"backbone\.image_size: .* 64 px .* {size}×{size}"
    with pytest.raises(ValueError, match=message):
        backbone(torch.rand(2, 3, size, size))
    with pytest.raises(ValueError, match=message):
        backbone.map_sizes(size)


def test_weights_are_drawn_with_a_deviation_of_one_fiftieth():
    backbone = build_backbone(alexnet(16, width=32, features=256))
    weights = [value for value in backbone.parameters() if value.ndim > 1 and value.numel() > 10_000]
    assert len(weights) == 6
    for weight in weights:
        assert weight.std().item() == pytest.approx(0.02, rel=0.03)


@torch.no_grad()
def test_the_order_of_the_positions_matters_to_the_global_representation():
    backbone = build_backbone(alexnet(32, width=8, features=16)).eval()
    local_BCNN = backbone(torch.rand(2, 3, 32, 32)).local_BCNN
    mine, theirs = backbone.aggregate([local_BCNN]), backbone.aggregate([local_BCNN.flip(3)])
    torch.testing.assert_close(mine.pooled_BC, theirs.pooled_BC)
    assert not torch.allclose(mine.global_BD, theirs.global_BD)
