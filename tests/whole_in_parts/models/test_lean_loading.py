"""A saved backbone takes little more memory to load than its file, and is what it was."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.whole_in_parts.models.backbones.examples import LARGE, alexnet, resnet, timm
from tests.whole_in_parts.models.test_saved_backbone import trained
from whole_in_parts.models import saved_backbone
from whole_in_parts.models.backbone import build_backbone
from whole_in_parts.models.lean_loading import Uninitialised, load_file_into

LARGE_OPTIONS = {
    "most of the file is one matrix": alexnet(64),
    "half of the file is one kernel": resnet("basic", [1, 1, 1, 1], [1, 2, 2, 2], LARGE, width=216),
    "many matrices": timm("vit_base_patch16_224", depth=8),
}
WINDOWS = {"img_size": 32, "window_size": 2, "embed_dim": 12, "patch_size": 2, "drop_path_rate": 0.0}
WINDOWED = timm("swinv2_tiny_window8_256", **WINDOWS)
"""Its coordinates within windows are buffers that a file lacks."""

LOADING = """
import sys, timm, whole_in_parts
from whole_in_parts.models import saved_backbone
from whole_in_parts.models.backbones import alexnet, resnet, timm
from whole_in_parts.training.peak_memory import peak_resident_bytes
imported = peak_resident_bytes()
backbone = whole_in_parts.load(sys.argv[1])
print(peak_resident_bytes() - imported)
"""


@pytest.mark.parametrize("name", LARGE_OPTIONS)
def test_the_peak_of_loading_is_at_most_three_tenths_above_the_file(name, root, tmp_path):
    options = LARGE_OPTIONS[name]
    with Uninitialised():
        saved_backbone.save(build_backbone(options), options, 64, tmp_path / "model")
    size = (tmp_path / "model/model.safetensors").stat().st_size
    assert size > 200_000_000
    command = [sys.executable, "-c", LOADING, str(tmp_path / "model")]
    peak = int(subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout)
    assert 0.9 * size < peak < 1.3 * size


@torch.no_grad()
def test_buffers_that_a_file_lacks_are_as_a_network_has_them(tmp_path):
    backbone = trained(WINDOWED)
    saved_backbone.save(backbone, WINDOWED, 32, tmp_path / "model")
    loaded, _ = saved_backbone.load(tmp_path / "model", torch.device("cpu"))
    lacking = {*dict(backbone.named_buffers())} - {*backbone.state_dict()}
    assert any("coords_table" in name for name in lacking)
    for name in lacking:
        assert torch.equal(loaded.get_buffer(name), backbone.get_buffer(name))
    images_BCHW = torch.rand(2, 3, 32, 32)
    assert torch.equal(loaded(images_BCHW).global_BD, backbone(images_BCHW).global_BD)


def test_a_parameter_keeps_its_memory_format_and_its_type(tmp_path):
    network = nn.Conv2d(4, 6, 3).to(memory_format=torch.channels_last)
    weights = {name: torch.rand_like(tensor).half().contiguous() for name, tensor in network.state_dict().items()}
    save_file(weights, tmp_path / "half.safetensors")
    load_file_into(network, tmp_path / "half.safetensors")
    assert network.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(network.weight, weights["weight"].float())
    assert torch.equal(network.bias, weights["bias"].float())


def test_a_tensor_is_whole_however_it_is_cut_in_pieces(tmp_path, monkeypatch):
    network = nn.Sequential(nn.Linear(7, 11), nn.BatchNorm1d(11))
    weights = {name: torch.rand(tensor.shape).to(tensor.dtype) for name, tensor in network.state_dict().items()}
    weights["1.num_batches_tracked"] += 3
    save_file(weights, tmp_path / "weights.safetensors")
    for piece in (1, 100, 1 << 20):
        monkeypatch.setattr("whole_in_parts.models.lean_loading.PIECE", piece)
        for parameter in network.parameters():
            nn.init.zeros_(parameter)
        load_file_into(network, tmp_path / "weights.safetensors")
        assert all(torch.equal(tensor, weights[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("change", [{"weight": None}, {"more": torch.zeros(1)}, {"bias": torch.zeros(1)}])
def test_nothing_is_loaded_of_a_file_with_other_tensors(change, tmp_path):
    network = nn.Linear(3, 2)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    tensors = {"weight": torch.ones(2, 3), "bias": torch.ones(2)} | change
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=f"1 tensors are not those of the network: {next(iter(change))}"):
        load_file_into(network, tmp_path / "w.safetensors")
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_what_is_no_parameter_is_initialised_as_always():
    with Uninitialised():
        norm = nn.BatchNorm1d(3)
        drawn = torch.empty(5).normal_()
    assert torch.equal(norm.running_var, torch.ones(3))
    assert drawn.isfinite().all()
