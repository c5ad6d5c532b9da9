"""Revisited Oxford and Paris, made here in small; `tasks/test_retrieval.py` takes one through every stage."""

import json
import os
import pickle
import re
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from stages.shard import pack
from whole_in_parts.config.sources.revisited import RevisitedConfig
from whole_in_parts.data.shards import INDEX, Shards
from whole_in_parts.data.source import Dataset, png
from whole_in_parts.data.sources import revisited
from whole_in_parts.failure import Failure

GALLERY, QUERIES = ["all_souls_000013", "oxford_002904", "radcliffe.camera_000006"], ["all_souls_000026", "new_000001"]
TRUTH = {
    "imlist": GALLERY,
    "qimlist": QUERIES,
    "gnd": [
        {"bbx": [136.5, 34.1, 648.5, 955.7], "easy": [0], "hard": [2], "junk": [1]},
        {"bbx": [1.0, 2.0, 3.0, 4.0], "easy": [], "hard": [2, 1], "junk": []},
    ],
}
KEYS = ["all_souls_000013", "oxford_002904", "radcliffe_camera_000006"]
ANNOTATIONS = {
    "all_souls_000026": {"easy": [KEYS[0]], "hard": [KEYS[2]], "junk": [KEYS[1]]},
    "new_000001": {"easy": [], "hard": [KEYS[2], KEYS[1]], "junk": []},
}


@pytest.fixture
def place(tmp_path) -> Path:
    """A folder with the images and no ground truth."""
    (tmp_path / "oxford/jpg").mkdir(parents=True)
    for number, name in enumerate([*GALLERY, *QUERIES, "nobody_000001"]):
        content = png(Image.fromarray(np.full((4, 4, 3), number, np.uint8)))
        (tmp_path / "oxford/jpg" / f"{name}.jpg").write_bytes(content)
    return tmp_path / "oxford"


def read(place: Path, truth: bytes, ending: str = "pkl", sha256: str | None = None) -> Dataset:
    """What is read of a folder with this ground truth."""
    directory = place.parent / "fetched"
    directory.mkdir(exist_ok=True)
    (place / f"gnd_roxford5k.{ending}").write_bytes(truth)
    options = RevisitedConfig(name="revisited", path=place, sha256=sha256)
    revisited.fetch(options, directory)
    return revisited.read(options, directory)


def arrays(kind: str) -> dict:
    """The ground truth with arrays of numbers in place of lists."""
    return TRUTH | {
        "gnd": [
            {name: np.array(some, float if name == "bbx" else kind) for name, some in query.items()}
            for query in TRUTH["gnd"]
        ]
    }


GENUINE = {
    "JSON": (json.dumps(TRUTH).encode(), "json"),
    **{f"pickle {protocol}": (pickle.dumps(TRUTH, protocol), "pkl") for protocol in range(5)},
    **{f"arrays {protocol}": (pickle.dumps(arrays("int64"), protocol), "pkl") for protocol in range(5)},
    "small numbers": (pickle.dumps(arrays("uint16")), "pkl"),
    "other byte order": (pickle.dumps(arrays(">i4")), "pkl"),
    "floats": (pickle.dumps(arrays("float64")), "pkl"),
    "scalars": (pickle.dumps(TRUTH | {"gnd": [
        {name: [np.int64(number) for number in some] for name, some in query.items() if name != "bbx"}
        for query in TRUTH["gnd"]
    ]}), "pkl"),
    "numpy's old name": (pickle.dumps(arrays("int64"), 2).replace(b"numpy._core", b"numpy.core"), "pkl"),
}  # fmt: skip


@pytest.mark.parametrize("name", GENUINE)
def test_train_is_the_gallery_and_test_the_queries_with_the_keys_of_what_they_are_to_find(place, name):
    found = read(place, *GENUINE[name])
    assert found.classes == ["gallery", "query"]
    assert [(sample.key, sample.label, sample.annotation) for sample in found.splits["train"]] == [
        (key, 0, None) for key in KEYS
    ]
    assert [(sample.key, sample.label, sample.annotation) for sample in found.splits["test"]] == [
        (key, 1, annotation) for key, annotation in ANNOTATIONS.items()
    ]
    for samples, names in ((found.splits["train"], GALLERY), (found.splits["test"], QUERIES)):
        for sample, name in zip(samples, names, strict=True):
            assert sample.image == (place / "jpg" / f"{name}.jpg").read_bytes()


def test_shards_have_the_annotations_by_their_keys_and_no_other_column(place, tmp_path):
    found = read(place, *GENUINE["JSON"])
    for split, samples in found.splits.items():
        (tmp_path / split).mkdir()
        pack(samples, found.classes, tmp_path / split, 1, split)
    assert Shards(tmp_path / "test").annotations == ANNOTATIONS
    assert Shards(tmp_path / "train").annotations == {}
    schemas = [pq.read_schema(tmp_path / split / INDEX) for split in ("train", "test")]
    assert schemas[0].equals(schemas[1])
    assert set(schemas[0].metadata) == {b"classes", b"shards"}


class Calls:
    """What unpickles by a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


HOSTILE = {
    "posix.system": Calls(os.system, "touch harmed"),
    "builtins.eval": Calls(eval, "open('harmed', 'w')"),
    "builtins.getattr": Calls(getattr, "a", "upper"),
    "collections.OrderedDict": OrderedDict(),
    "pathlib": Path("harmed"),
    "numpy": Calls(np.fromfile, "harmed"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_calls_anything_is_refused_by_its_name_and_nothing_is_called(place, monkeypatch, name, protocol):
    monkeypatch.chdir(place)
    hostile = pickle.dumps(TRUTH | {"more": HOSTILE[name]}, protocol).replace(b"__builtin__", b"builtins")
    with pytest.raises(Failure, match=rf"gnd_roxford5k\.pkl: not a ground truth: it asks for {re.escape(name)}"):
        read(place, hostile)
    assert not (place / "harmed").exists()


@pytest.mark.parametrize(
    ("array", "kind"),
    [(np.array([os.system, 1], object), ""), (np.array(["text"]), "<U4"), (np.zeros(2, "i4,f4"), "")],
    ids=["objects", "text", "records"],
)
def test_an_array_of_anything_but_numbers_is_refused(place, array, kind):
    with pytest.raises(Failure, match=rf"not a ground truth: (it asks for posix\.system|an array of .*{kind})"):
        read(place, pickle.dumps(TRUTH | {"gnd": [array, array]}))


@pytest.mark.parametrize("ending", ["pkl", "json"])
@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"\x80\x04K\x01", b"\x80\x04."], ids=["empty", "HTML", "half", "nothing"]
)
def test_what_is_no_ground_truth_is_refused_by_name(place, ending, content):
    with pytest.raises(Failure, match=rf"gnd_roxford5k\.{ending}: not a ground truth"):
        read(place, content, ending)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"imlist": 1}, "imlist: Input should be a valid list"),
        ({"gnd": [{"easy": [0], "hard": []}]}, "gnd.0.junk: Field required"),
        ({"gnd": TRUTH["gnd"][:1]}, "not a ground truth: it has 1 entries for 2 queries"),
        ({"imlist": GALLERY[:2]}, "the numbers 0 to 2 for 2 images"),
        ({"gnd": [{"easy": [-1], "hard": [], "junk": []}] * 2}, "the numbers -1 to -1 for 3 images"),
        ({"imlist": [*GALLERY, "gone"]}, r"1 images of the ground truth are not in jpg, such as gone\.jpg"),
    ],
)
def test_a_ground_truth_that_does_not_fit_is_refused_by_what_is_wrong(place, changes, message):
    with pytest.raises(Failure, match=message):
        read(place, json.dumps(TRUTH | changes).encode(), "json")


def test_a_folder_that_lacks_something_is_refused_with_how_to_get_it(place):
    options = RevisitedConfig(name="revisited", path=place)
    with pytest.raises(Failure, match=r"has to have a folder jpg and one gnd_.* it has 0 .* get them from http://cmp"):
        revisited.fetch(options, place.parent)
    (place / "gnd_roxford5k.json").write_text("{}")
    (place / "gnd_rparis6k.json").write_text("{}")
    with pytest.raises(Failure, match="it has 2 of these"):
        revisited.fetch(options, place.parent)
    with pytest.raises(Failure, match="it has 0 of these"):
        revisited.fetch(RevisitedConfig(name="revisited", path=place / "absent"), place.parent)


def test_the_sha256_pins_the_images_and_the_ground_truth(place, capsys):
    read(place, *GENUINE["JSON"])
    printed = capsys.readouterr().out.split()[-1]
    read(place, *GENUINE["JSON"], sha256=printed)
    other = json.dumps(TRUTH | {"gnd": TRUTH["gnd"][::-1]}).encode()
    with pytest.raises(Failure, match="its sha256 is"):
        read(place, other, "json", sha256=printed)
    (place / f"jpg/{QUERIES[0]}.jpg").write_bytes((place / f"jpg/{QUERIES[1]}.jpg").read_bytes())
    with pytest.raises(Failure, match="its sha256 is"):
        read(place, *GENUINE["JSON"], sha256=printed)
