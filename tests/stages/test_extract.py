import pyarrow as pa
import pytest
import torch

from stages.extract import extract
from whole_in_parts.config.study import Study
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.evaluation import features
from whole_in_parts.failure import Failure
from whole_in_parts.models import saved_backbone
from whole_in_parts.results import result_dir

CPU = torch.device("cpu")


def keeping(small: Study, *names: str) -> Study:
    """The small study, with other representations."""
    return Study.model_validate(small.model_dump() | {"extract": {"representations": names}})


def test_extract_writes_the_features_of_the_saved_backbone_for_both_splits(built, shards):
    backbone, size = saved_backbone.load(result_dir("pretrain", "supervised") / "model", CPU)
    for split, number in (("train", 1347), ("test", 450)):
        images = Images(Shards(shards / split), size, 1)
        written = features.read(result_dir("extract", "supervised") / f"{split}.arrow")
        expected = features.extract_features(backbone, images, CPU, split)
        assert len(written.keys) == number
        assert written.keys == expected.keys
        assert torch.equal(written.features_ND, expected.features_ND)


def test_each_representation_is_a_column_and_that_of_the_backbone(small, built, shards, tmp_path):
    extract(keeping(small, "global", "patch", "layer_1", "layer_3"), "supervised", tmp_path)
    with pa.memory_map(str(tmp_path / "test.arrow")) as source:
        assert pa.ipc.open_file(source).schema.names == ["key", "label", "global", "patch", "layer_1", "layer_3"]
    backbone, size = saved_backbone.load(result_dir("pretrain", "supervised") / "model", CPU)
    split = Images(Shards(shards / "test"), size, 1)
    with torch.no_grad():
        given = backbone(split[torch.arange(450).numpy()].float() / 255)
    expected = {
        "global": given.global_BD,
        "patch": given.pooled_BC,
        "layer_1": given.maps[0].mean((2, 3)),
        "layer_3": given.maps[2].mean((2, 3)),
    }
    assert {x_BD.shape[1] for x_BD in expected.values()} == {8, 32}
    for name, x_BD in expected.items():
        torch.testing.assert_close(features.read(tmp_path / "test.arrow", name).features_ND, x_BD)


def test_a_representation_that_the_backbone_has_not_is_refused_before_any_image_is_read(
    small, built, tmp_path, monkeypatch
):
    monkeypatch.setattr(Images, "__getitem__", lambda *_: pytest.fail("an image was read"))
    message = (
        r"extract\.representations: the backbone has no layer_4; it has: global, patch, global_patch, layer_1, layer_"
    )
    with pytest.raises(Failure, match=message):
        extract(keeping(small, "global", "layer_4"), "supervised", tmp_path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["patch"], "extract.representations\n.*global is to be among them"),
        (["global", "patch", "patch"], "extract.representations\n.*named more than once: patch"),
        (["global", "layer_0"], "extract.representations.1\n.*pattern"),
        (["global", "pooled"], "extract.representations.1\n.*pattern"),
    ],
    ids=str,
)
def test_representations_that_make_no_sense_are_refused_when_the_study_is_read(small, names, message):
    with pytest.raises(ValueError, match=message):
        keeping(small, *names)
