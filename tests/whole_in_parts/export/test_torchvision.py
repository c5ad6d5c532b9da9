"""What is written by torchvision's names is loaded by torchvision, and computes the same."""

import hashlib
import json

import pytest
import torch
import torchvision.models
from torch import nn

from tests.whole_in_parts.models.backbones.examples import LARGE, R18, R50, RF99, resnet, timm
from tests.whole_in_parts.models.test_saved_backbone import trained
from whole_in_parts.config.export import Export
from whole_in_parts.config.origins.file import FileConfig
from whole_in_parts.export import torchvision as writing
from whole_in_parts.export.exported import Exported
from whole_in_parts.failure import Failure
from whole_in_parts.models.origins import file

TORCHVISION = Export(run="any", format="torchvision")
R34 = resnet("basic", [3, 4, 6, 3], [1, 2, 2, 2], LARGE)


def exported(options, classes: int = 0) -> Exported:
    backbone = trained(options).requires_grad_(False)
    classifier = nn.Linear(backbone.features, classes).requires_grad_(False) if classes else None
    return Exported(backbone, classifier, 32)


@torch.no_grad()
@pytest.mark.parametrize("options", [R18, R34, R50, timm("resnet18")], ids=["18", "34", "50", "timm's 18"])
def test_torchvisions_network_gives_the_logits_of_normalised_images(options, tmp_path):
    network = exported(options, classes=4)
    writing.write(network, tmp_path, options.architecture)
    theirs = getattr(torchvision.models, options.architecture)(num_classes=4).eval()
    theirs.load_state_dict(torch.load(tmp_path / "model.pth", weights_only=True))

    described = json.loads((tmp_path / "export.json").read_text())
    mean_C11, std_C11 = (torch.tensor(described["input"][name]).view(3, 1, 1) for name in ("mean", "std"))
    images_BCHW = torch.rand(2, 3, 64, 64)
    found_BK = theirs((images_BCHW - mean_C11) / std_C11)
    torch.testing.assert_close(found_BK, network(images_BCHW), rtol=1e-4, atol=1e-4)
    assert described["output"] == {"name": "logits", "shape": ["batch", 4]}


@torch.no_grad()
def test_without_a_classifier_the_weights_have_none_and_the_features_are_the_same(tmp_path):
    network = exported(R18)
    writing.write(network, tmp_path, "resnet18")
    theirs = torchvision.models.resnet18()
    theirs.fc = nn.Identity()
    theirs.load_state_dict(torch.load(tmp_path / "model.pth", weights_only=True))
    images_BCHW = torch.rand(2, 3, 64, 64)
    found_BD = theirs.eval()(network.backbone.normalised(images_BCHW))
    torch.testing.assert_close(found_BD, network(images_BCHW), rtol=1e-4, atol=1e-4)


def test_the_file_is_an_origin_of_weights_in_the_layout_of_torchvision(tmp_path):
    network = exported(R18, classes=4)
    writing.write(network, tmp_path, "resnet18")
    path = tmp_path / "model.pth"
    content = {"path": path, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "layout": "torchvision"}
    options = FileConfig.model_validate({"name": "file"} | content)
    assert file.read(options).network.keys() == network.backbone.state_dict().keys()


def test_a_network_that_torchvision_computes_otherwise_is_refused(tmp_path):
    padded = resnet("basic", [2, 2, 2, 2], [1, 2, 2, 2], LARGE | {"padding": 2})
    with pytest.raises(Failure, match="torchvision's resnet18 gives outputs that differ from torch's by"):
        writing.write(exported(padded), tmp_path, "resnet18")


def test_a_network_whose_weights_do_not_fit_is_refused(tmp_path):
    with pytest.raises(Failure, match="the weights do not fit torchvision's resnet34"):
        writing.write(exported(R18), tmp_path, "resnet34")


NARROW = resnet("basic", [2, 2, 2, 2], [1, 2, 2, 2], LARGE, width=32)


@pytest.mark.parametrize("options", [RF99, NARROW, timm("vit_tiny_patch16_224")], ids=["RF", "narrow", "ViT"])
def test_an_architecture_that_torchvision_lacks_is_refused_when_the_study_is_read(options):
    problem = TORCHVISION.incompatibility(options)
    assert problem.startswith(f"format: torchvision has no {options.name} ({options.summary}, 3 channels)")
    assert "it has resnet18, resnet34, resnet50, resnet101, resnet152, of 3 channels; or take onnx" in problem


def test_greyscale_is_refused_and_onnx_takes_everything():
    grey = resnet("basic", [2, 2, 2, 2], [1, 2, 2, 2], LARGE, channels=1, mean=[0.3], std=[0.4])
    assert "1 channels" in TORCHVISION.incompatibility(grey)
    assert Export(run="any").incompatibility(grey) == Export(run="any").incompatibility(RF99) == ""
    assert TORCHVISION.incompatibility(R50) == ""
