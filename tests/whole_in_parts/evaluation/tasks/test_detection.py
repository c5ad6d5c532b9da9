"""Detection and segmentation of shapes that are drawn here, by every stage from the source on."""

import hashlib
from pathlib import Path
from statistics import median

import pyarrow.parquet as pq
import pytest
import torch
from pydantic import ValidationError
from torchvision.ops import box_iou

from tests.whole_in_parts.evaluation.detection import shapes
from tests.whole_in_parts.evaluation.tasks.conftest import RESNET
from tests.whole_in_parts.evaluation.tasks.pictures import picture, sample
from whole_in_parts.config.backbones.resnet import ResNetConfig, Stem
from whole_in_parts.config.tasks.detection import DetectionConfig
from whole_in_parts.evaluation.tasks import detection
from whole_in_parts.failure import Failure
from whole_in_parts.results import result_dir

EDGES = ("left", "top", "right", "bottom")
SIZES = {"height": [shapes.SIDE, shapes.SIDE], "width": [shapes.SIDE, shapes.SIDE], "duplicates": 0}
TASK = {
    "name": "detection",
    "steps": 140,
    "drops": [110],
    "batch_size": 4,
    "learning_rate": 0.05,
    "warmup_steps": 10,
    "short_sides": [96],
    "test_short_side": 96,
    "anchors": [28],
    "regions": 24,
    "batches": 10,
}


@pytest.fixture
def architecture() -> ResNetConfig:
    """Three stages, of which all but the last have a stride of eight."""
    return RESNET.model_copy(
        update={"blocks": [1, 1, 1], "strides": [2, 2, 2], "stem": Stem(kernel=3, stride=2, pool=False)}
    )


@pytest.fixture
def find(ask, tmp_path):
    """A function that asks for the detection of shapes, with 40 images to learn from and 24 to be told."""

    def make(**more) -> dict[str, float]:
        source = {"name": "coco", "path": shapes.coco(tmp_path / "coco", 40, 24)}
        return ask(source, SIZES | {"train": 40, "test": 24, "classes": 3, "empty": 2}, TASK | more)

    return make


def pretrained() -> str:
    return hashlib.sha256((result_dir("pretrain", "byol") / "model/model.safetensors").read_bytes()).hexdigest()


def test_a_trained_detector_finds_and_outlines_most_shapes_and_the_backbone_on_disk_stays_as_it_is(
    find, seed, claim, monkeypatch
):
    before, train = [], detection.training.train
    monkeypatch.setattr(
        detection.training, "train", lambda *arguments: before.append(pretrained()) or train(*arguments)
    )
    found = find(masks=True, seed=seed)
    claim("ap_50", found["ap_50"], above=20)
    claim("mask_ap_50", found["mask_ap_50"], above=40)
    assert before == [pretrained()]
    rows = pq.read_table(result_dir("transfer", "asked") / "predictions.parquet").to_pylist()
    assert set(rows[0]) == {"key", "class", "score", "left", "top", "right", "bottom", "mask"}
    assert {row["class"] for row in rows} == set(shapes.CLASSES)
    assert len({row["key"] for row in rows}) == 24
    claim("median overlap of the best box of a class in an image", median(overlaps(rows)), above=0.2)


def overlaps(rows: list[dict]) -> list[float]:
    """For each image and class of its shapes, the overlap of the box of the highest score and the nearest shape."""
    found = []
    for key in sorted({row["key"] for row in rows}):
        _, objects = shapes.world(int(key))
        for kind in sorted({kind for kind, _ in objects}):
            own = [row for row in rows if (row["key"], row["class"]) == (key, shapes.CLASSES[kind])]
            best = max(own, key=lambda row: row["score"], default=dict.fromkeys(EDGES, 0.0))
            box = torch.tensor([[best[edge] for edge in EDGES]], dtype=torch.double)
            marked = [[*corners.min(0), *corners.max(0)] for each, corners in objects if each == kind]
            found.append(box_iou(box, torch.tensor(marked, dtype=torch.double)).max().item())
    return found


def test_a_detector_that_has_learned_nothing_finds_next_to_nothing(find, seed, claim):
    found = find(steps=1, drops=[], learning_rate=1e-9, seed=seed)
    assert set(found) == {"ap", "ap_50", "ap_75"}
    claim("ap_50", found["ap_50"], below=15)


def test_a_set_of_vocs_format_is_learnt_from_too(ask, tmp_path):
    sets = {"VOC2007/trainval": range(3), "VOC2012/trainval": range(10, 13), "VOC2007/test": range(20, 22)}
    source = {"name": "voc", "path": shapes.voc(tmp_path / "VOCdevkit", sets)}
    expect = SIZES | {"train": 6, "test": 2, "classes": 20, "empty": 19}
    found = ask(source, expect, TASK | {"steps": 2, "drops": [], "batches": 1})
    assert set(found) == {"ap", "ap_50", "ap_75"}
    table = pq.read_table(Path("results/transfer/asked/predictions.parquet"))
    assert "mask" not in table.column_names
    with pytest.raises(Failure, match=r"task.masks: .*/test: an object of VOC2007/00002\d has no mask"):
        ask(source, expect, TASK | {"steps": 2, "drops": [], "masks": True})


def test_a_dataset_of_classes_alone_is_refused_before_anything_is_learnt(give):
    samples = [sample(f"{number}", number % 2, picture(number)) for number in range(4)]
    context = give(samples, samples, ["cat", "dog"])
    with pytest.raises(
        Failure, match=r"image \d has no annotation of objects; detection needs a dataset of source coco or voc"
    ):
        detection.evaluate(context, DetectionConfig(**TASK))


def test_a_test_split_in_which_nothing_counts_is_refused(give):
    marked = {"boxes": [[0, 0, 9, 9]], "labels": [0], "crowd": [False], "difficult": [True], "masks": [None]}
    samples = [sample(f"{number}", 0, picture(number), marked | {"size": [40, 48]}) for number in range(4)]
    with pytest.raises(Failure, match="no object to score: there is none, or all are crowds or difficult"):
        detection.evaluate(give(samples, samples, ["cat", "dog"]), DetectionConfig(**TASK))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drops": [80, 40]}, r"drops: \[80, 40\]; allowed are rising numbers below steps \(140\)"),
        ({"drops": [140]}, r"drops: \[140\]; allowed are rising numbers below steps \(140\)"),
        ({"steps": 0}, "steps"),
        ({"anchors": []}, "anchors"),
        ({"mask": True}, "no such key: mask; allowed: precision, name, masks"),
    ],
)
def test_what_a_study_may_not_ask_is_named(options, message):
    with pytest.raises(ValidationError, match=message):
        DetectionConfig(**TASK | options)


def test_what_is_left_out_is_as_in_the_paper():
    voc = DetectionConfig(name="detection", steps=24_000)
    assert (voc.short_sides[0], voc.short_sides[-1], voc.test_short_side, voc.long_side) == (480, 800, 800, 1333)
    assert (voc.batch_size, voc.learning_rate, voc.weight_decay, voc.warmup_steps) == (16, 0.02, 1e-4, 100)
    assert voc.anchors == (32, 64, 128, 256, 512)
    assert voc.headline == "ap"
