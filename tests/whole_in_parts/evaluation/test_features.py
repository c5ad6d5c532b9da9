import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
import torch

from tests.whole_in_parts.models.backbones.examples import TINY
from whole_in_parts.evaluation import features
from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import build_backbone

CPU = torch.device("cpu")


@pytest.mark.parametrize("sizes", [[1], [5], [2, 2, 1]], ids=str)
def test_representations_read_back_as_they_were_written_in_batches_of_any_size(tmp_path, sizes):
    number, file = sum(sizes), tmp_path / "features.arrow"
    keys, labels_N = [f"a/{n}" for n in range(number)], torch.arange(number) % 3
    whole_ND, patch_ND = torch.randn(number, 4), torch.randn(number, 2)
    parts = zip(whole_ND.split(sizes), patch_ND.split(sizes), strict=True)
    features.write(keys, labels_N, ({"global": global_BD, "patch": patch_BD} for global_BD, patch_BD in parts), file)
    assert features.stored_names(file) == ["global", "patch"]
    for read, expected_ND in ((features.read(file), whole_ND), (features.read(file, "patch"), patch_ND)):
        assert read.keys == keys
        assert read.labels_N.dtype == torch.int64
        assert torch.equal(read.labels_N, labels_N)
        assert torch.equal(read.features_ND, expected_ND)


def test_the_file_is_an_arrow_table_that_others_read(tmp_path):
    features.write(["a", "b"], torch.tensor([0, 2]), [{"global": torch.eye(2)}], tmp_path / "features.arrow")
    with pa.memory_map(str(tmp_path / "features.arrow")) as source:
        table = pa.ipc.open_file(source).read_all()
    assert table.to_pydict() == {"key": ["a", "b"], "label": [0, 2], "global": [[1.0, 0.0], [0.0, 1.0]]}


def test_a_split_without_images_is_refused_by_the_name_of_its_file(tmp_path):
    with pytest.raises(Failure, match=r"test\.arrow: the split has no images"):
        features.write([], torch.empty(0), [], tmp_path / "test.arrow")


def test_a_process_other_than_rank_zero_computes_all_batches_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    computed = []
    batches = (computed.append(number) or {"global": torch.eye(2)} for number in range(3))
    features.write(list("abcdef"), torch.arange(6), batches, tmp_path / "features.arrow")
    assert computed == [0, 1, 2]
    assert not list(tmp_path.iterdir())


def test_the_labels_are_read_alone(tmp_path):
    features.write(list("ab"), torch.tensor([7, 3]), [{"global": torch.eye(2)}], tmp_path / "features.arrow")
    assert features.read_labels(tmp_path / "features.arrow").tolist() == [7, 3]


def test_labels_that_no_training_sample_has_are_refused_by_their_numbers(tmp_path):
    for split, labels in (("train", [0, 1, 2, 4]), ("test", [0, 5, 3, 0])):
        features.write(list("abcd"), torch.tensor(labels), [{"global": torch.eye(4)}], tmp_path / f"{split}.arrow")
    with pytest.raises(Failure, match="the label spaces differ: no training sample has label 3, 5"):
        features.read_splits(tmp_path)


@pytest.mark.parametrize("name", TINY)
def test_what_a_backbone_offers_is_what_it_gives(name):
    backbone = build_backbone(TINY[name]).eval()
    with torch.no_grad():
        given = backbone(torch.rand(2, TINY[name].channels, 32, 32))
    offered = features.representation_names(backbone)
    assert offered[:3] == ["global", "patch", "global_patch"]
    assert len(offered) == 3 + len(given.maps) + len(given.class_tokens)
    selected = {each: features.select_representation(given, each) for each in offered}
    assert all(len(x_BD) == 2 for x_BD in selected.values())
    layers = [selected[each].shape[1] for each in offered if each.startswith("layer_")]
    assert layers == backbone.widths
    assert torch.equal(selected["global_patch"], torch.cat([selected["global"], selected["patch"]], 1))


def test_class_tokens_are_those_of_the_last_blocks_first_to_last():
    backbone = build_backbone(TINY["timm vit"]).eval()
    with torch.no_grad():
        given = backbone(torch.rand(2, 3, 32, 32))
    torch.testing.assert_close(features.select_representation(given, "class_tokens_1"), given.global_BD)
    joined_BD = torch.cat(given.class_tokens[-2:], 1)
    assert torch.equal(features.select_representation(given, "class_tokens_2"), joined_BD)


@pytest.mark.parametrize("batch", [500, 7])
def test_features_are_the_global_representations_of_all_images_in_order(small, images, monkeypatch, batch):
    monkeypatch.setattr(features, "BATCH", batch)
    backbone = build_backbone(small.runs["co_byol"].backbone).eval()
    made = features.extract_features(backbone, images, CPU, "test")
    assert made.keys == images.shards.keys
    assert made.labels_N.tolist() == images.shards.labels.tolist()
    assert len(made.features_ND) == len(images)
    indices = np.array([0, 6, 7, 499, 500, 1346])
    with torch.no_grad():
        expected = backbone(images[indices].float() / 255).global_BD
    torch.testing.assert_close(made.features_ND[indices], expected)


def test_rows_are_computed_of_images_in_the_unit_range_in_the_order_of_their_numbers(images, monkeypatch):
    monkeypatch.setattr(features, "BATCH", 4)
    indices = np.array([9, 3, 3, 1000, 5, 0])
    given: list[np.ndarray] = []

    def same(own: np.ndarray, images_BCHW: torch.Tensor) -> torch.Tensor:
        given.append(own)
        return images_BCHW

    batches = list(features.iter_rows(same, images, indices, CPU, "test"))
    assert np.array_equal(np.concatenate(given), indices)
    assert [len(batch) for batch in batches] == [4, 2]
    assert torch.equal(torch.cat(batches), images[indices].float() / 255)


def test_a_classifier_can_learn_from_features(images, small):
    backbone = build_backbone(small.runs["co_byol"].backbone).eval()
    made = features.extract_features(backbone, images, CPU, "test")
    layer = torch.nn.Linear(made.features_ND.shape[1], 10)
    torch.nn.functional.cross_entropy(layer(made.features_ND), made.labels_N).backward()
    assert layer.weight.grad.abs().sum() > 0


def test_the_peak_of_memory_does_not_grow_with_the_number_of_images(root, tmp_path):
    """The representations of four times as many images would take 200 MB more."""
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "features.arrow")]
    printed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    few, many = map(float, printed.split())
    assert many - few < 60


MEMORY = """
import sys
from pathlib import Path
import numpy as np
import torch
from whole_in_parts.evaluation import features
from whole_in_parts.models.backbone import Representations
from whole_in_parts.training.peak_memory import peak_memory_mb

class Images:
    def __init__(self, number):
        self.number = number
    def __len__(self):
        return self.number
    def __getitem__(self, indices):
        return torch.zeros(len(indices), 1, 32, 32, dtype=torch.uint8)

def backbone(x_BCHW):
    return Representations((), x_BCHW.flatten(1), x_BCHW.flatten(1).repeat(1, 3))

cpu = torch.device("cpu")

def peak(number):
    batches = features.iter_representations(backbone, Images(number), ["global", "patch"], cpu, "")
    features.write(["key"] * number, torch.zeros(number, dtype=torch.int64), batches, Path(sys.argv[1]))
    return peak_memory_mb(cpu)

peak(1000)
print(peak(4000), peak(16000))
"""
