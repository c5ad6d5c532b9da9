import json
import re

import pytest
import timm
import torch

from tests.whole_in_parts.models.backbones.examples import R18, SMALL, TINY, rf_resnet
from whole_in_parts.config.backbone import backbone_config
from whole_in_parts.failure import Failure
from whole_in_parts.models import saved_backbone
from whole_in_parts.models.backbone import Backbone, build_backbone

CPU = torch.device("cpu")
GREY = rf_resnet("basic", [3, 3], [1, 2], SMALL, width=8, channels=1, mean=[0.3], std=[0.4])


def trained(options) -> Backbone:
    """A backbone whose batch norms have seen something, in evaluation mode."""
    torch.manual_seed(0)
    backbone = build_backbone(options)
    for _ in range(2):
        backbone(torch.rand(4, options.channels, 32, 32))
    return backbone.eval()


@pytest.fixture
def folder(tmp_path):
    saved_backbone.save(trained(GREY), GREY, 32, tmp_path / "model")
    return tmp_path / "model"


@torch.no_grad()
@pytest.mark.parametrize("options", [GREY, *TINY.values()], ids=["grey", *TINY])
def test_a_saved_backbone_loads_with_the_same_features_to_the_bit(tmp_path, options):
    saved_backbone.save(trained(options), options, 32, tmp_path / "model")
    backbone, image_size = saved_backbone.load(tmp_path / "model", CPU)
    images_BCHW = torch.rand(4, options.channels, 32, 32)
    ours, theirs = backbone(images_BCHW), trained(options)(images_BCHW)
    assert torch.equal(ours.pooled_BC, theirs.pooled_BC)
    assert torch.equal(ours.global_BD, theirs.global_BD)
    for mine, yours in zip(ours.maps + ours.class_tokens, theirs.maps + theirs.class_tokens, strict=True):
        assert torch.equal(mine, yours)
    assert image_size == 32


def test_a_loaded_backbone_is_frozen(folder):
    backbone, _ = saved_backbone.load(folder, CPU)
    assert not backbone.training
    assert not any(parameter.requires_grad for parameter in backbone.parameters())


@torch.no_grad()
@pytest.mark.parametrize("name", ["resnet18", *[name for name in TINY if name.startswith("timm")]])
def test_timm_loads_what_it_knows_with_the_same_features_of_normalised_images(tmp_path, name):
    options = TINY.get(name, R18)
    backbone = trained(options)
    saved_backbone.save(backbone, options, 32, tmp_path / "model")
    theirs = timm.create_model(f"local-dir:{tmp_path / 'model'}", pretrained=True).eval()
    config = theirs.pretrained_cfg
    assert (config["mean"], config["std"], config["input_size"]) == (options.mean, options.std, (3, 32, 32))
    mean_C11, std_C11 = (torch.tensor(config[part]).view(3, 1, 1) for part in ("mean", "std"))
    images_BCHW = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(theirs((images_BCHW - mean_C11) / std_C11), backbone(images_BCHW).global_BD)


@torch.no_grad()
def test_timm_loads_a_vit_that_was_trained_at_another_size_than_it_is_built_for(tmp_path):
    arguments = TINY["timm vit"].arguments | {"img_size": 64}
    options = TINY["timm vit"].model_copy(update={"arguments": arguments})
    backbone = trained(options)
    saved_backbone.save(backbone, options, 32, tmp_path / "model")
    theirs = timm.create_model(f"local-dir:{tmp_path / 'model'}", pretrained=True).eval()
    images_BCHW = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(theirs(backbone.normalised(images_BCHW)), backbone(images_BCHW).global_BD)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({}, "resnet18"),
        ({"blocks": [3, 4, 6, 3]}, "resnet34"),
        ({"blocks": [3, 4, 6, 3], "block": "bottleneck"}, "resnet50"),
        ({"blocks": [3, 8, 36, 3], "block": "bottleneck"}, "resnet152"),
        ({"blocks": [3, 4, 6, 4]}, "resnet"),
        ({"width": 32}, "resnet"),
        ({"strides": [1, 2, 2, 1]}, "resnet"),
        ({"stem": SMALL}, "resnet"),
    ],
)
def test_a_resnet_has_the_name_of_timm_only_where_it_is_the_same(change, name):
    assert backbone_config(R18.model_dump() | change).architecture == name


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_that_is_missing_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(Failure, match=f"{re.escape(str(folder))}: no model that can be loaded .*{name}"):
        saved_backbone.load(folder, CPU)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_that_is_cut_short_is_a_failure_that_names_the_model(folder, name):
    (folder / name).write_bytes((folder / name).read_bytes()[:100])
    with pytest.raises(Failure, match=f"{re.escape(str(folder))}: no model that can be loaded"):
        saved_backbone.load(folder, CPU)


@pytest.mark.parametrize("change", [{"width": 16}, {"name": "vit"}, {"blocks": [2, 2]}])
def test_weights_that_do_not_fit_their_configuration_are_a_failure_that_names_the_model(folder, change):
    config = json.loads((folder / "config.json").read_text())
    config["backbone"] |= change
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(Failure, match=f"{re.escape(str(folder))}: no model that can be loaded"):
        saved_backbone.load(folder, CPU)


HARM = {
    "a list": lambda config: [config],
    "a name alone": lambda config: config | {"backbone": "resnet"},
    "nothing of the backbone": lambda config: {**config, "backbone": None},
    "no size": lambda config: config | {"pretrained_cfg": {}},
    "a size in words": lambda config: config | {"pretrained_cfg": {"input_size": [3, 8, "eight"]}},
    "a width without end": lambda config: config | {"backbone": config["backbone"] | {"width": 1e308}},
}


@pytest.mark.parametrize("name", HARM)
def test_a_configuration_of_another_form_is_a_failure_that_names_the_model(folder, name):
    file = folder / "config.json"
    file.write_text(json.dumps(HARM[name](json.loads(file.read_text()))))
    with pytest.raises(Failure, match=f"{re.escape(str(folder))}: no model that can be loaded"):
        saved_backbone.load(folder, CPU)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pretrained_cfg": {"input_size": []}}'])
def test_a_size_that_cannot_be_read_is_a_failure_that_names_the_file(folder, text):
    (folder / "config.json").write_text(text)
    with pytest.raises(Failure, match=f"{re.escape(str(folder))}/config.json: not the configuration of a model"):
        saved_backbone.image_size(folder)
