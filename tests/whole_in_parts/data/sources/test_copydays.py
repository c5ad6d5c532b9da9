"""Copydays, from a folder and a tar that are made here; `tasks/test_copy_detection.py` takes it through every stage."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from stages.contract import contract
from stages.shard import shard
from whole_in_parts.config.datasets import Expectations
from whole_in_parts.config.sources.copydays import CopydaysConfig
from whole_in_parts.config.study import Study
from whole_in_parts.data.source import Dataset, png
from whole_in_parts.data.sources import copydays
from whole_in_parts.failure import Failure
from whole_in_parts.results import atomic_output_dir

NAMES = [
    "original/200000.jpg",
    "original/200100.jpg",
    "strong/200001.jpg",
    "strong/200002.jpg",
    "strong/200101.jpg",
    "distractors/a.jpg",
    "distractors/deeper/b.png",
    "whitening/c.jpg",
    "jpegqual/75/200000.jpg",
    "notes.txt",
]
CLASSES = ["2000", "2001", "distractor", "whitening"]


@pytest.fixture
def read(tmp_path):
    """A function that makes a folder of so many images, fetches it and reads what came."""

    def make(names: list[str], as_tar: bool = False, sha256: str | None = None) -> Dataset:
        place, directory = tmp_path / "copydays", tmp_path / "fetched"
        directory.mkdir(exist_ok=True)
        for number, name in enumerate(names):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(png(Image.fromarray(np.full((4, 4, 3), number, np.uint8))))
        if as_tar:
            with tarfile.open(tmp_path / "copydays.tar.gz", "w:gz") as tar:
                tar.add(place, "copydays")
            place = tmp_path / "copydays.tar.gz"
        options = CopydaysConfig(name="copydays", path=place, sha256=sha256)
        copydays.fetch(options, directory)
        return copydays.read(options, directory)

    return make


@pytest.mark.parametrize("as_tar", [False, True], ids=["folder", "tar"])
def test_train_is_what_is_searched_or_whitens_and_test_the_copies_each_of_the_class_of_its_photograph(read, as_tar):
    found = read(NAMES, as_tar)
    content = {
        split: {(Path(sample.key).name, found.classes[sample.label]) for sample in samples}
        for split, samples in found.splits.items()
    }
    assert found.classes == CLASSES
    assert content == {
        "train": {
            ("200000", "2000"),
            ("200100", "2001"),
            ("a", "distractor"),
            ("b", "distractor"),
            ("c", "whitening"),
        },
        "test": {("200001", "2000"), ("200002", "2000"), ("200101", "2001")},
    }


def test_images_are_their_files(read):
    found = read(NAMES)
    names = {name.rpartition(".")[0]: number for number, name in enumerate(NAMES)}
    for samples in found.splits.values():
        for sample in samples:
            assert sample.image == png(Image.fromarray(np.full((4, 4, 3), names[sample.key], np.uint8)))


def test_without_distractors_and_whitening_images_there_are_no_such_classes(read):
    assert read(NAMES[:5]).classes == CLASSES[:2]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (NAMES[2:], "no image is in a folder original"),
        (NAMES[:2], "no image is in a folder strong"),
        (["stray.jpg"], "no image is in a folder original or strong"),
        ([*NAMES, "strong/999901.jpg"], "strong/999901.jpg is a copy of no original: none begins with 9999"),
    ],
)
def test_a_folder_that_lacks_something_is_refused_by_name(read, names, message):
    with pytest.raises(Failure, match=message):
        read(names)


def test_a_folder_that_is_not_there_is_refused_with_how_to_get_it(tmp_path):
    options = CopydaysConfig(name="copydays", path=tmp_path / "absent")
    with pytest.raises(Failure, match=r"absent is not there; get Copydays from https://lear.* to .*absent/original"):
        copydays.fetch(options, tmp_path)


def test_the_sha256_pins_the_images(read, capsys):
    read(NAMES)
    printed = capsys.readouterr().out.split()[-1]
    read(NAMES, sha256=printed)
    with pytest.raises(Failure, match="its sha256 is"):
        read(NAMES[::-1], sha256=printed)


@pytest.fixture
def judge(read, small, tmp_path, monkeypatch):
    """A function that packs the dataset and holds it to a contract that lets so many classes be empty."""

    def make(**changes: object) -> None:
        monkeypatch.chdir(tmp_path)
        read(NAMES)
        content = small.model_dump()
        expect = {"train": 5, "test": 3, "classes": 4, "height": [4, 4], "width": [4, 4], "imbalance": 2}
        source = {"name": "copydays", "path": tmp_path / "copydays"}
        content["datasets"]["asked"] = {"source": source, "samples_per_shard": 2, "expect": expect | changes}
        study = Study.model_validate(content)
        Path("results/fetch").mkdir(parents=True, exist_ok=True)
        (tmp_path / "fetched").rename("results/fetch/asked")
        for stage in (shard, contract):
            with atomic_output_dir(stage.__name__, "asked") as directory:
                stage(study, "asked", directory)

    return make


def test_a_contract_holds_if_it_lets_the_classes_be_empty_that_no_query_is_of(judge):
    judge(empty=2)


@pytest.mark.parametrize(("empty", "allowed"), [(0, "at least 1"), (1, "at least 1, but for 1 of them")])
def test_a_contract_is_broken_by_one_more_empty_class_than_it_lets_be(judge, empty, allowed):
    with pytest.raises(Failure) as refused:
        judge(empty=empty)
    lines = str(refused.value).splitlines()
    assert lines[1] == f"asked test: every class has samples: observed 0 to 2; 2 of 4 break it; allowed {allowed}"
    assert lines[2:] == ["    class distractor, samples 0", "    class whitening, samples 0"]


def test_a_contract_does_not_let_all_classes_be_empty():
    sizes = {"height": (1, 1), "width": (1, 1)}
    with pytest.raises(ValidationError, match="empty: 2 of 2 classes may have no images; allowed are fewer"):
        Expectations(train=1, test=1, classes=2, empty=2, **sizes)
