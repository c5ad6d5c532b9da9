import torch

from tests.whole_in_parts.models.backbones.examples import BAGNET33, bagnet
from whole_in_parts.models.backbone import build_backbone


def test_bagnet_33_has_a_map_of_24_by_24_at_224_pixels():
    with torch.device("meta"):
        backbone = build_backbone(BAGNET33)
    assert backbone.map_sizes(224) == [110, 54, 26, 24]
    assert backbone.widths == [256, 512, 1024, 2048]


def test_each_stage_has_one_kernel_of_3_pixels_in_its_first_block_and_nothing_is_padded():
    with torch.device("meta"):
        backbone = build_backbone(BAGNET33)
    wide = [name for name, module in backbone.named_modules() if getattr(module, "kernel_size", None) == (3, 3)]
    assert wide == ["conv2", *[f"layer{stage}.0.conv2" for stage in (1, 2, 3, 4)]]
    assert {module.padding for module in backbone.modules() if isinstance(module, torch.nn.Conv2d)} == {(0, 0)}


@torch.no_grad()
def test_what_lies_outside_of_the_field_of_a_position_does_not_change_it():
    backbone = build_backbone(bagnet([2, 1], [2, 1], width=8)).eval()  # positions see 3 + 2 + 4 pixels, 2 apart
    images_BCHW = torch.rand(2, 3, 21, 21)
    others_BCHW = torch.rand_like(images_BCHW)
    others_BCHW[:, :, 4:13, 6:15] = images_BCHW[:, :, 4:13, 6:15]
    mine, theirs = (backbone(each).local_BCNN for each in (images_BCHW, others_BCHW))
    torch.testing.assert_close(mine[:, :, 2, 3], theirs[:, :, 2, 3])
    assert not torch.isclose(mine[:, :, 2, 4], theirs[:, :, 2, 4]).all()
