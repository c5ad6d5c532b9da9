import pytest
import timm as library
import torch
from torch import nn

from tests.whole_in_parts.models.backbones.examples import TINY, VIT, timm
from whole_in_parts.models.backbone import Backbone, build_backbone


@pytest.fixture
def vit() -> Backbone:
    return build_backbone(TINY["timm vit"]).eval()


@torch.no_grad()
@pytest.mark.parametrize("name", [name for name in TINY if name.startswith("timm")])
def test_the_global_representation_is_that_of_timm_without_a_classifier(name):
    backbone = build_backbone(TINY[name]).eval()
    images_BCHW = torch.rand(2, 3, 32, 32)
    theirs = backbone.network(backbone.normalised(images_BCHW))
    torch.testing.assert_close(backbone(images_BCHW).global_BD, theirs)


@torch.no_grad()
def test_a_vit_gives_its_class_token_and_its_tokens_by_row_and_column_behind_the_final_norm(vit):
    images_BCHW = torch.rand(2, 3, 32, 32)
    said = vit(images_BCHW)
    tokens_BLC = vit.network.forward_features(vit.normalised(images_BCHW))
    torch.testing.assert_close(said.global_BD, tokens_BLC[:, 0])
    torch.testing.assert_close(said.local_BCNN[:, :, 1, 2], tokens_BLC[:, 1 + 4 * 1 + 2])


@torch.no_grad()
def test_a_vit_has_a_map_for_each_block(vit):
    images_BCHW = torch.rand(2, 3, 32, 32)
    tokens_BLC = vit.network._pos_embed(vit.network.patch_embed(vit.normalised(images_BCHW)))
    first_BCNN = vit.network.blocks[0](tokens_BLC)[:, 1:].mT.unflatten(2, (4, 4))
    maps = vit(images_BCHW).maps
    assert len(maps) == VIT["depth"]
    torch.testing.assert_close(maps[0], first_BCNN)


@torch.no_grad()
def test_a_vit_gives_the_class_token_of_each_block_behind_the_final_norm(vit):
    images_BCHW = torch.rand(2, 3, 32, 32)
    tokens_BLC = vit.network._pos_embed(vit.network.patch_embed(vit.normalised(images_BCHW)))
    found = vit(images_BCHW).class_tokens
    assert len(found) == vit.class_tokens == VIT["depth"]
    for block, token_BC in zip(vit.network.blocks, found, strict=True):
        tokens_BLC = block(tokens_BLC)
        torch.testing.assert_close(token_BC, vit.network.norm(tokens_BLC)[:, 0])


def test_a_network_without_a_class_token_gives_none():
    backbone = build_backbone(TINY["timm vit without class token"]).eval()
    assert backbone.class_tokens == 0
    assert backbone(torch.rand(2, 3, 32, 32)).class_tokens == ()


@pytest.mark.parametrize("patch", [8, 16, 32])
@pytest.mark.parametrize("model", ["vit_tiny_patch16_224", "vit_small_patch16_224", "vit_base_patch16_224"])
def test_vits_of_the_papers_take_large_and_small_crops(model, patch):
    with torch.device("meta"):
        backbone = build_backbone(timm(model, patch_size=patch))
    for size in (224, 96):
        assert backbone.map_sizes(size) == [size // patch] * 12
    assert {module.eps for module in backbone.modules() if isinstance(module, nn.LayerNorm)} == {1e-6}


def test_an_image_size_that_patches_do_not_divide_is_refused(vit):
    with pytest.raises(ValueError, match=r"backbone\.model: vit_tiny_patch16_224 does not take images of 30×30"):
        vit.map_sizes(30)


def test_a_map_that_does_not_tell_the_global_representation_is_refused_where_their_widths_differ():
    with torch.device("meta"):
        backbone = build_backbone(timm("mambaout_femto"))
        with pytest.raises(ValueError, match=r"backbone\.model: the 1152 features of mambaout_femto .* 288 channels"):
            backbone.aggregate(backbone.eval()(torch.rand(1, 3, 64, 64)).maps)


def test_arguments_reach_timm():
    backbone = build_backbone(timm("vit_tiny_patch16_224", **VIT, drop_path_rate=0.1))
    assert backbone.network.blocks[-1].drop_path1.drop_prob == pytest.approx(0.1)


def test_a_name_that_timm_does_not_know_is_refused_with_those_that_are_close():
    with pytest.raises(ValueError, match=r"backbone\.model: .* 'vit_tiny_patch_224'; .*vit_tiny_patch16_224"):
        build_backbone(timm("vit_tiny_patch_224"))


@pytest.mark.parametrize("model", ["hf-hub:timm/resnet18", "local-dir:model"])
def test_weights_are_fetched_from_nowhere(model):
    with pytest.raises(ValueError, match=rf"backbone\.model: .* '{model}'"):
        build_backbone(timm(model))


def test_an_argument_that_a_model_does_not_take_is_named():
    with pytest.raises(ValueError, match=r"backbone\.arguments: resnet18 .*'patch_size': 8.* argument 'patch_size'"):
        build_backbone(timm("resnet18", patch_size=8))


def test_a_network_without_a_feature_map_is_refused(monkeypatch):
    flat = nn.Flatten()
    flat.pretrained_cfg = {"input_size": (3, 32, 32)}
    monkeypatch.setattr(library, "create_model", lambda *given, **more: flat)
    with pytest.raises(ValueError, match=r"backbone\.model: resnet18 gives no feature map .*forward_intermediates"):
        build_backbone(timm("resnet18"))


@pytest.mark.parametrize("name", ["pretrained", "checkpoint_path", "num_classes", "in_chans"])
def test_what_the_study_sets_itself_is_no_argument(name):
    with pytest.raises(ValueError, match=rf"arguments\n.*{name}: set by the study"):
        timm("resnet18", **{name: 1})


def test_a_grey_image_has_one_channel():
    chosen = timm("test_resnet").model_copy(update={"channels": 1, "mean": [0.5], "std": [0.5]})
    assert build_backbone(chosen)(torch.rand(2, 1, 32, 32)).local_BCNN.shape[0] == 2
