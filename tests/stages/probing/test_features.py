import numpy as np
import pyarrow as pa
import pytest
import torch

from stages import backbones
from stages.probing import features
from stages.probing.features import Features

CPU = torch.device("cpu")


@pytest.mark.parametrize("number", [1, 5])
def test_features_read_back_as_they_were_written(tmp_path, number):
    written = Features([f"a/{n}" for n in range(number)], torch.arange(number) % 3, torch.randn(number, 4))
    features.write(written, tmp_path / "features.arrow")
    read = features.read(tmp_path / "features.arrow")
    assert read.keys == written.keys
    assert read.labels_N.dtype == torch.int64
    assert torch.equal(read.labels_N, written.labels_N)
    assert torch.equal(read.features_ND, written.features_ND)


def test_the_file_is_an_arrow_table_that_others_read(tmp_path):
    features.write(Features(["a", "b"], torch.tensor([0, 2]), torch.eye(2)), tmp_path / "features.arrow")
    with pa.memory_map(str(tmp_path / "features.arrow")) as source:
        table = pa.ipc.open_file(source).read_all()
    assert table.to_pydict() == {"key": ["a", "b"], "label": [0, 2], "features": [[1.0, 0.0], [0.0, 1.0]]}


@pytest.mark.parametrize("batch", [500, 7])
def test_features_are_the_global_representations_of_all_images_in_order(small, images, monkeypatch, batch):
    monkeypatch.setattr(features, "BATCH", batch)
    backbone = backbones.build(small.runs["co_byol"].backbone).eval()
    made = features.features(backbone, images, CPU, "test")
    assert made.keys == images.shards.keys
    assert made.labels_N.tolist() == images.shards.labels.tolist()
    assert len(made.features_ND) == len(images)
    numbers = np.array([0, 6, 7, 499, 500, 1346])
    with torch.no_grad():
        expected = backbone(images[numbers].float() / 255).whole_BD
    torch.testing.assert_close(made.features_ND[numbers], expected)


def test_batches_are_images_in_the_unit_range_in_the_order_of_their_numbers(images, monkeypatch):
    monkeypatch.setattr(features, "BATCH", 4)
    numbers = np.array([9, 3, 3, 1000, 5, 0])
    given, batches = zip(*features.batches(images, numbers, CPU, "test"), strict=True)
    assert np.array_equal(np.concatenate(given), numbers)
    assert [len(batch) for batch in batches] == [4, 2]
    assert torch.equal(torch.cat(batches), images[numbers].float() / 255)
