"""Every published layout, made in small with the authors' names, gives the network that its library computes."""

import hashlib
from pathlib import Path

import pytest
import timm
import torch
import yaml
from torch import nn
from torchvision.models import resnet as torchvision_resnet

from whole_in_parts.config.backbone import BackboneConfig, backbone_config
from whole_in_parts.config.layout import FOLDER, NAMES
from whole_in_parts.config.methods.weights import WeightsConfig
from whole_in_parts.failure import Failure
from whole_in_parts.methods.weights import Weights, build
from whole_in_parts.models.backbone import build_backbone

IMAGENET = {"channels": 3, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
RESNET = {"name": "resnet", "block": "basic", "width": 64, "blocks": [1, 1, 1, 1], "strides": [1, 2, 2, 2]} | IMAGENET
LARGE = RESNET | {"stem": {"kernel": 7, "stride": 2, "pool": True}}
CIFAR = RESNET | {"stem": {"kernel": 3, "stride": 1, "pool": False, "padding": 2}}
SIZES = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}
VIT = {"name": "timm", "model": "vit_tiny_patch16_224", "arguments": SIZES} | IMAGENET
LITE = {"name": "timm", "model": "tf_efficientnet_lite0", "channels": 3, "mean": [0.498] * 3, "std": [0.502] * 3}
HIDDEN, OUTPUT = 24, 8


def torchvision_network(cifar: bool = False) -> nn.Module:
    network = torchvision_resnet.ResNet(torchvision_resnet.BasicBlock, [1, 1, 1, 1])
    if cifar:
        network.conv1 = nn.Conv2d(3, 64, 3, 1, 2, bias=False)
        network.maxpool = nn.Identity()
    network.fc = nn.Identity()
    return network


def vit() -> nn.Module:
    return timm.create_model("vit_tiny_patch16_224", num_classes=0, dynamic_img_size=True, **SIZES)


def head(
    inputs: int, bias: bool = True, last_bias: bool = True, norm: bool = True, last_norm: bool = False, act=nn.ReLU
):
    """The projector of the authors: one hidden layer."""
    hidden = [nn.Linear(inputs, HIDDEN, bias=bias), *([nn.BatchNorm1d(HIDDEN)] if norm else []), act()]
    last = [nn.Linear(HIDDEN, OUTPUT, bias=last_bias), *([nn.BatchNorm1d(OUTPUT, affine=False)] if last_norm else [])]
    return nn.Sequential(*hidden, *last)


def named(prefix: str, module: nn.Module) -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in module.state_dict().items()}


def as_children(network: nn.Module) -> nn.Module:
    """A ResNet as lightly's examples take it: the children of torchvision's, without the classifier."""
    return nn.Sequential(*list(network.children())[:-1])


def as_efficientnet_pytorch(network: nn.Module) -> dict[str, torch.Tensor]:
    """The names of EfficientNet-PyTorch, whose modules stand in the same order, by the order of the tensors."""
    names = ["_conv_stem.weight", *norm("_bn0")]
    for block in range(16):
        first = [] if block == 0 else [f"_blocks.{block}._expand_conv.weight", *norm(f"_blocks.{block}._bn0")]
        names += first
        for kind, number in (("depthwise", 1), ("project", 2)):
            names += [f"_blocks.{block}._{kind}_conv.weight", *norm(f"_blocks.{block}._bn{number}")]
    names += ["_conv_head.weight", *norm("_bn1")]
    return dict(zip(names, network.state_dict().values(), strict=True))


def norm(name: str) -> list[str]:
    return [f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")]


def solo_learn(projector: nn.Module, network: nn.Module) -> dict:
    more = named("classifier.", nn.Linear(512, 10)) | named("momentum_backbone.", network)
    return {"state_dict": named("backbone.", network) | named("projector.", projector) | more, "epoch": 1}


PRESETS = {
    "torchvision": (
        LARGE,
        lambda net, _: net.state_dict() | named("fc.", nn.Linear(512, 10)),
        torchvision_network,
        None,
    ),
    "timm": (VIT, lambda net, _: net.state_dict() | named("head.", nn.Linear(16, 10)), vit, None),
    "vicreg": (LARGE, lambda net, _: net.state_dict(), torchvision_network, None),
    "vicreg_checkpoint": (
        LARGE,
        lambda net, mlp: {"model": named("module.backbone.", net) | named("module.projector.", mlp), "epoch": 1},
        torchvision_network,
        lambda: head(512, last_bias=False),
    ),
    "swav": (
        LARGE,
        lambda net, mlp: (
            named("module.", net)
            | named("module.projection_head.", mlp)
            | named("module.prototypes.", nn.Linear(OUTPUT, 30, bias=False))
        ),
        torchvision_network,
        lambda: head(512),
    ),
    "dino": (VIT, lambda net, _: net.state_dict(), vit, None),
    "dino_checkpoint": (
        VIT,
        lambda net, mlp: {
            "teacher": named("backbone.", net)
            | named("head.mlp.", mlp)
            | {"head.last_layer.weight_g": torch.ones(30, 1), "head.last_layer.weight_v": torch.ones(30, OUTPUT)},
            "student": named("module.backbone.", net),
        },
        vit,
        lambda: head(16, norm=False, act=nn.GELU),
    ),
    "dinov2": (VIT, lambda net, _: net.state_dict() | {"mask_token": torch.zeros(1, 16)}, vit, None),
    "moco_v2": (
        LARGE,
        lambda net, mlp: {
            "state_dict": named("module.encoder_q.", net)
            | named("module.encoder_q.fc.", mlp)
            | named("module.encoder_k.", net)
            | {"module.queue": torch.zeros(8, 4), "module.queue_ptr": torch.zeros(1)}
        },
        torchvision_network,
        lambda: head(512, norm=False),
    ),
    "moco_v3_resnet": (
        LARGE,
        lambda net, mlp: {
            "state_dict": named("module.base_encoder.", net)
            | named("module.base_encoder.fc.", mlp)
            | named("module.momentum_encoder.", net)
            | named("module.predictor.", head(OUTPUT))
        },
        torchvision_network,
        lambda: head(512, bias=False, last_bias=False, last_norm=True),
    ),
    "moco_v3_vit": (
        VIT,
        lambda net, mlp: {
            "state_dict": named("module.base_encoder.", net)
            | named("module.base_encoder.head.", mlp)
            | named("module.momentum_encoder.", net)
        },
        vit,
        lambda: head(16, bias=False, last_bias=False, last_norm=True),
    ),
    "simsiam": (
        LARGE,
        lambda net, mlp: {
            "state_dict": named("module.encoder.", net)
            | named("module.encoder.fc.", mlp)
            | named("module.predictor.", head(OUTPUT))
        },
        torchvision_network,
        lambda: head(512, bias=False, last_norm=True),
    ),
    "solo_learn": (CIFAR, lambda net, mlp: solo_learn(mlp, net), lambda: torchvision_network(True), lambda: head(512)),
    "solo_learn_simclr": (
        CIFAR,
        lambda net, mlp: solo_learn(mlp, net),
        lambda: torchvision_network(True),
        lambda: head(512, norm=False),
    ),
    "solo_learn_simsiam": (
        CIFAR,
        lambda net, mlp: solo_learn(mlp, net),
        lambda: torchvision_network(True),
        lambda: head(512, bias=False, last_norm=True),
    ),
    "lightly": (
        LARGE,
        lambda net, mlp: {
            "state_dict": named("backbone.", as_children(net))
            | named("projection_head.layers.", mlp)
            | named("prediction_head.layers.", head(OUTPUT))
        },
        torchvision_network,
        lambda: head(512, bias=False),
    ),
    "efficientnet_pytorch_lite0": (
        LITE,
        lambda net, _: as_efficientnet_pytorch(net) | named("_fc.", nn.Linear(1280, 10)),
        lambda: timm.create_model("tf_efficientnet_lite0", num_classes=0),
        None,
    ),
}
"""By layout: the backbone, what a file holds of the authors' network and projector, and how these two are built."""


def test_every_published_layout_is_tested():
    assert sorted(PRESETS) == NAMES


def perturbed(network: nn.Module) -> nn.Module:
    """A network whose norms are not as they were initialised, so that a wrong order or statistic shows."""
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.1 * torch.rand_like(tensor))
    return network.eval()


def method_of(backbone: dict, file: Path, layout: str | dict, projector: bool, sha256: str = "") -> Weights:
    digest = sha256 or hashlib.sha256(file.read_bytes()).hexdigest()
    content = {"name": "weights", "origin": {"name": "file", "path": file, "sha256": digest, "layout": layout}}
    options = WeightsConfig.model_validate(content | ({"projector": [HIDDEN, OUTPUT]} if projector else {}))
    chosen: BackboneConfig = backbone_config(backbone)
    return build(options, build_backbone(chosen), 10, 32)


@pytest.mark.parametrize("layout", NAMES)
def test_a_file_in_a_published_layout_computes_what_the_authors_modules_do(layout, tmp_path):
    backbone, content, network, projector = PRESETS[layout]
    theirs, their_head = perturbed(network()), perturbed(projector()) if projector else None
    torch.save(content(theirs, their_head), tmp_path / "released.pth")
    method = method_of(backbone, tmp_path / "released.pth", layout, bool(their_head)).eval()
    method.load_released()

    images = torch.rand(2, 3, 32, 32)
    mean, std = (torch.tensor(backbone[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        expected = theirs((images - mean) / std)
        found = method.backbone(images).global_BD
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))
        if their_head:
            assert their_head(expected).std() > 0
            torch.testing.assert_close(method.project(found), their_head(expected), rtol=1e-4, atol=1e-4)


def test_layouts_say_what_they_are_of():
    for name in NAMES:
        text = (FOLDER / f"{name}.yaml").read_text()
        assert text.startswith("# ")
        assert isinstance(yaml.safe_load(text), dict)


def test_missing_left_over_and_differing_tensors_are_listed_and_none_is_loaded(tmp_path):
    state = torchvision_network().state_dict()
    state["conv1.weight"] = torch.zeros(64, 1, 7, 7)
    del state["layer4.0.bn2.bias"]
    state["layer5.weight"] = torch.zeros(3)
    torch.save(state, tmp_path / "released.pth")
    method = method_of(LARGE, tmp_path / "released.pth", "vicreg", False)
    before = method.backbone.layer1[0].conv1.weight.clone()
    with pytest.raises(Failure) as error:
        method.load_released()
    assert "missing: layer4.0.bn2.bias; left over: layer5.weight; of another shape: conv1.weight" in str(error.value)
    assert "64×1×7×7, the network's of 64×3×7×7" in str(error.value)
    assert torch.equal(before, method.backbone.layer1[0].conv1.weight)


def test_a_tensor_that_the_layout_does_not_know_is_an_error(tmp_path):
    state = named("module.", torchvision_network()) | {"teacher.weight": torch.zeros(2)}
    torch.save(state, tmp_path / "released.pth")
    with pytest.raises(Failure, match=r"does not say what 1 of its tensors are: teacher\.weight"):
        method_of(LARGE, tmp_path / "released.pth", {"prefix": "module."}, False).load_released()


def test_a_file_with_another_checksum_is_refused(tmp_path):
    torch.save(torchvision_network().state_dict(), tmp_path / "released.pth")
    with pytest.raises(Failure, match=rf"released\.pth: its sha256 is .*, and {'0' * 64} is expected"):
        method_of(LARGE, tmp_path / "released.pth", "vicreg", False, "0" * 64).load_released()


def test_a_backbone_that_normalises_otherwise_is_refused(tmp_path):
    torch.save(torchvision_network().state_dict(), tmp_path / "released.pth")
    other = LARGE | {"mean": [0.5, 0.5, 0.5]}
    with pytest.raises(Failure, match=r"backbone\.mean: \[0\.5, 0\.5, 0\.5\], and the weights .* need \[0\.485, "):
        method_of(other, tmp_path / "released.pth", "vicreg", False).load_released()


def test_a_stem_that_is_padded_otherwise_is_refused_although_its_weights_would_fit():
    origin = {"name": "file", "path": "a.pth", "sha256": "0" * 64, "layout": "solo_learn"}
    options = WeightsConfig.model_validate({"name": "weights", "origin": origin})
    assert options.incompatibility(backbone_config(CIFAR)) is None
    usual = CIFAR | {"stem": {"kernel": 3, "stride": 1, "pool": False}}
    assert options.incompatibility(backbone_config(usual)) == (
        "backbone.stem.padding: the weights are of a stem of 3×3 with padding 2"
    )


def test_a_layout_that_is_not_there_is_an_error_with_those_that_are():
    origin = {"name": "file", "path": "a.pth", "sha256": "0" * 64, "layout": "solo"}
    with pytest.raises(ValueError, match=r"no layout is called solo; there are: dino, dino_checkpoint, "):
        WeightsConfig.model_validate({"name": "weights", "origin": origin})


def test_a_package_that_is_not_installed_is_an_error_that_says_so():
    origin = {"name": "file", "path": "a.pth", "package": "no_such_package", "sha256": "0" * 64, "layout": "timm"}
    options = WeightsConfig.model_validate({"name": "weights", "origin": origin})
    method = build(options, build_backbone(backbone_config(VIT)), 10, 32)
    with pytest.raises(Failure, match="no_such_package is not installed"):
        method.load_released()
