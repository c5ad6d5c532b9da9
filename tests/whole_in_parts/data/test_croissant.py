"""The description of a packed dataset says what its shards are, in the terms of Croissant 1.0."""

import hashlib
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from stages.shard import pack, shard
from tests.whole_in_parts.data.test_shards import CLASSES, some_samples
from whole_in_parts.data import croissant
from whole_in_parts.data.shards import INDEX
from whole_in_parts.data.sources import digits
from whole_in_parts.results import atomic_output_dir, result_dir

Node = dict[str, Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A packed dataset: ten photographs in three shards, and three drawings in one."""
    for split, samples in {"train": some_samples("jpg"), "test": some_samples("png", 3)}.items():
        (tmp_path / split).mkdir()
        pack(samples, CLASSES, tmp_path / split, 4, split)
    return tmp_path


@pytest.fixture
def content(folder: Path) -> Node:
    croissant.write(folder, "pictures", "folder")
    return json.loads((folder / croissant.FILE).read_text(encoding="utf-8"))


def files(content: Node) -> dict[str, Node]:
    return {node["contentUrl"]: node for node in content["distribution"] if node["@type"] == "cr:FileObject"}


def nodes(value: object) -> Iterator[Node]:
    """All objects of a description."""
    if isinstance(value, dict):
        yield value
        yield from (node for inner in value.values() for node in nodes(inner))
    elif isinstance(value, list):
        yield from (node for inner in value for node in nodes(inner))


def test_each_file_of_each_split_has_its_size_and_sha256(folder, content):
    packed = {f"{file.parent.name}/{file.name}": file for file in folder.glob("*/*")}
    assert len(packed) == 3 + 1 + 2
    assert files(content).keys() == packed.keys()
    for name, node in files(content).items():
        assert node["sha256"] == hashlib.sha256(packed[name].read_bytes()).hexdigest()
        assert node["contentSize"] == f"{packed[name].stat().st_size} B"
        assert node["encodingFormat"] == ("application/x-tar" if name.endswith("tar") else "application/x-parquet")


def test_splits_classes_and_numbers_of_images_are_named(content):
    records = {record["@id"]: record for record in content["recordSet"]}
    assert list(records) == ["splits", "classes", "test", "train"]
    assert records["splits"]["data"] == [{"splits/name": "test"}, {"splits/name": "train"}]
    assert [line["classes/name"] for line in records["classes"]["data"]] == CLASSES
    assert [line["classes/label"] for line in records["classes"]["data"]] == [0, 1]
    assert "3 of test, 10 of train" in content["description"]


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_key_label_and_image_of_each_sample_follow_from_the_description(folder, content, split):
    [record] = [record for record in content["recordSet"] if record["@id"] == split]
    fields = {field["@id"].removeprefix(f"{split}/"): field for field in record["field"]}
    assert list(fields) == ["key", "label", "file", "image"]

    index = pq.read_table(folder / split / INDEX)
    keys = index[fields["key"]["source"]["extract"]["column"]].to_pylist()
    labels = index[fields["label"]["source"]["extract"]["column"]].to_pylist()
    assert fields["file"]["references"] == fields["key"]["source"]

    [images] = [node for node in content["distribution"] if node["@id"] == f"{split}/images"]
    members = {}
    for tar in images["containedIn"]:
        with tarfile.open(folder / tar["@id"]) as opened:
            members |= {member.name: opened.extractfile(member).read() for member in opened}
    pictures = [name for name in members if any(Path(name).match(pattern) for pattern in images["includes"])]
    pattern = fields["file"]["source"]["transform"]["regex"]
    found = {re.fullmatch(pattern, name)[1]: name for name in pictures}
    assert sorted(found) == sorted(keys)
    assert {key: int(members[f"{key}.cls"]) for key in keys} == dict(zip(keys, labels, strict=True))


def test_ids_are_unique_and_what_is_referred_to_is_there(content):
    named = [node["@id"] for node in nodes(content) if "@type" in node and "@id" in node and node["@type"] != "@json"]
    referred = [node["@id"] for node in nodes(content) if [*node] == ["@id"]]
    assert len(named) == len(set(named))
    assert referred
    assert set(referred) <= set(named)


def test_the_terms_are_those_of_croissant_1_0(content):
    context = content["@context"]
    assert content["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert context["@vocab"] == "https://schema.org/"
    used = {key for node in nodes({**content, "@context": {}}) for key in node}
    own = {key for key in used if key in croissant.TERMS}
    assert {"recordSet", "field", "source", "extract", "fileObject", "fileSet", "references", "regex"} <= own
    assert all(context[term] == f"cr:{term}" for term in own)
    assert "containedIn" not in context  # in 1.0 the term is schema.org's


def test_a_licence_is_named_where_the_source_has_one(folder, content):
    assert "license" not in content
    assert croissant.describe(folder, "d", "digits")["license"] == "https://creativecommons.org/licenses/by/4.0/"


def test_the_stage_writes_the_same_description_of_the_same_images(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with atomic_output_dir("fetch", "digits") as directory:
        digits.fetch(small.datasets["digits"].source, directory)
    written = []
    for _ in range(2):
        with atomic_output_dir("shard", "digits") as directory:
            shard(small, "digits", directory)
        written.append((result_dir("shard", "digits") / croissant.FILE).read_bytes())
    assert written[0] == written[1]
    assert {"train/000000.tar", "test/000000.tar"} <= set(files(json.loads(written[0])))
