"""What is written as ONNX computes by onnxruntime what the backbone does by torch."""

import json

import onnxruntime
import pytest
import torch
from torch import nn

from tests.whole_in_parts.models.backbones.examples import TINY
from tests.whole_in_parts.models.test_saved_backbone import trained
from whole_in_parts.export import onnx
from whole_in_parts.export.exported import Exported
from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import Representations

KINDS = ["resnet basic", "resnet bottleneck", "rf_resnet basic", "rf_resnet v0", "bagnet mlp", "alexnet", "timm vit"]
KINDS += ["timm vit without class token", "timm convnext"]


def exported(name: str, classes: int = 0) -> Exported:
    """A tiny network of a kind that has seen something."""
    backbone = trained(TINY[name]).requires_grad_(False)
    classifier = nn.Linear(backbone.features, classes).requires_grad_(False) if classes else None
    return Exported(backbone, classifier, 32)


@pytest.mark.parametrize("name", KINDS)
def test_features_of_any_number_of_images_are_those_of_torch(name, tmp_path):
    network = exported(name)
    onnx.write(network, tmp_path)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for batch in (1, 2, 7):
        images_BCHW = torch.rand(batch, 3, 32, 32)
        (found_BD,) = session.run(["features"], {"images": images_BCHW.numpy()})
        expected_BD = network.backbone(images_BCHW).global_BD
        torch.testing.assert_close(torch.from_numpy(found_BD), expected_BD, rtol=1e-4, atol=1e-4)


def test_logits_are_those_of_the_classifier_and_the_description_says_what_goes_in_and_comes_out(tmp_path):
    network = exported("resnet basic", classes=5)
    onnx.write(network, tmp_path)
    images_BCHW = torch.rand(4, 3, 32, 32)
    expected_BK = network.classifier(network.backbone(images_BCHW).global_BD)
    torch.testing.assert_close(onnx.run(tmp_path / "model.onnx", images_BCHW), expected_BK, rtol=1e-4, atol=1e-4)

    described = json.loads((tmp_path / "export.json").read_text())
    assert described["opset"] == 18
    assert described["input"]["shape"] == ["batch", 3, 32, 32]
    assert (described["input"]["mean"], described["input"]["std"]) == ([0.5, 0.4, 0.3], [0.25, 0.2, 0.3])
    assert described["output"] == {"name": "logits", "shape": ["batch", 5]}
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert [(put.name, put.shape) for put in session.get_inputs()] == [("images", ["batch", 3, 32, 32])]
    assert [(put.name, put.shape) for put in session.get_outputs()] == [("logits", ["batch", 5])]


def test_the_same_network_gives_the_same_file_without_paths_of_this_machine(tmp_path, root):
    written = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        onnx.write(exported("resnet basic"), folder)
        written.append((folder / "model.onnx").read_bytes())
    assert written[0] == written[1]
    for path in (str(root), "site-packages", "whole_in_parts"):
        assert path.encode() not in written[0]


def test_weights_that_are_too_large_for_one_file_are_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx, "LARGEST", 1000)
    onnx.write(exported("resnet basic"), tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"model.onnx", "model.onnx.data", "export.json"}
    assert (tmp_path / "model.onnx.data").stat().st_size > 10_000


def test_a_network_that_onnxruntime_computes_otherwise_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx, "run", lambda file, images_BCHW: exported("resnet basic")(images_BCHW) * 1.001)
    with pytest.raises(Failure, match="onnxruntime gives outputs that differ from torch's by"):
        onnx.write(exported("resnet basic"), tmp_path)


def test_a_network_that_torch_cannot_trace_is_one_error(tmp_path, monkeypatch):
    network = exported("resnet basic")

    def by_what_it_sees(x_BCHW: torch.Tensor) -> Representations:
        return network.backbone.aggregate([x_BCHW if x_BCHW.sum() > 0 else -x_BCHW])

    monkeypatch.setattr(network.backbone, "represent", by_what_it_sees)
    with pytest.raises(Failure, match=r"^the network cannot be written as ONNX \(.+\)$"):
        onnx.write(network, tmp_path)
    assert not [*tmp_path.iterdir()]
