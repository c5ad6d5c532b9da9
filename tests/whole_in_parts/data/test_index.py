"""An index as it is packed, and indexes whose fields have other values, or whose bytes have changed."""

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.shard import pack
from tests.whole_in_parts.data.test_shards import rewrite, some_samples
from whole_in_parts.data.index import INDEX, SCHEMA, read_index
from whole_in_parts.data.shards import Shards
from whole_in_parts.failure import Failure

FUZZED = 300
GOOD = "0" * 64


@pytest.fixture
def file(tmp_path) -> Path:
    """The index of three images in two shards, which lie beside it."""
    pack(some_samples(number=3), ["a", "b"], tmp_path, 2, "train")
    return tmp_path / INDEX


def describe(file: Path, **metadata: object) -> None:
    """Write an index anew with other metadata; a part that is None is left out."""
    table = pq.read_table(file)
    parts = {name.decode(): json.loads(part) for name, part in table.schema.metadata.items()} | metadata
    kept = {name: json.dumps(part) for name, part in parts.items() if part is not None}
    pq.write_table(table.replace_schema_metadata(kept), file)


def test_an_index_says_what_was_packed(file):
    index = read_index(file)
    samples = {sample.key: sample for sample in some_samples(number=3)}
    assert sorted(index.keys) == sorted(samples)
    assert index.labels_N.tolist() == [samples[key].label for key in index.keys]
    assert index.sizes_N.tolist() == [len(samples[key].image) for key in index.keys]
    assert index.extents_N2.tolist() == [[12, 12]] * 3
    for key, shard, offset, size in zip(index.keys, index.shards, index.offsets_N, index.sizes_N, strict=True):
        assert (file.parent / shard).read_bytes()[offset : offset + size] == samples[key].image
    assert index.ends == {
        name: max(
            end
            for shard, end in zip(index.shards, (index.offsets_N + index.sizes_N).tolist(), strict=True)
            if shard == name
        )
        for name in ("000000.tar", "000001.tar")
    }


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"key": ["x", "y", "x"]}, "the key x has 2 rows; allowed: one row for each key"),
        ({"key": ["x", None, "y"]}, r"key of row 1 \(key None\) is None; allowed: a value in every row"),
        ({"label": [0, 1, 2]}, r"label of row 2 .* is 2; allowed: 0 to 1, or -1 in all rows"),
        ({"label": [-1, 0, 1]}, r"label of row 0 .* is -1; allowed: 0 to 1, or -1 in all rows"),
        ({"height": [12, 0, 12]}, r"height of row 1 .* is 0; allowed: at least 1"),
        ({"width": [12, 12, -3]}, r"width of row 2 .* is -3; allowed: at least 1"),
        ({"bytes": [1, 2, 0]}, r"bytes of row 2 .* is 0; allowed: 1 to"),
        ({"bytes": [1, 2, 2**63 - 1]}, r"bytes of row 2 .* is 9223372036854775807; allowed: 1 to"),
        ({"offset": [-1, 2, 3]}, r"offset of row 0 .* is -1; allowed: 0 to"),
        ({"offset": [2**62, 2, 3]}, r"offset of row 0 .* is 4611686018427387904; allowed: 0 to"),
        ({"sha256": [GOOD, GOOD, "../victim"]}, r"sha256 of row 2 .* is '../victim'; allowed: 64 hexadecimal digits"),
        ({"sha256": [GOOD, GOOD, f"{GOOD}\n"]}, r"sha256 of row 2 .*; allowed: 64 hexadecimal digits"),
        ({"shard": ["000000.tar", "000000.tar", "000007.tar"]}, "shard of row 2 .*; allowed: a shard of the metadata"),
    ],
)
def test_a_row_with_a_value_that_is_not_allowed_is_named(file, columns, message):
    rewrite(file, **columns)
    with pytest.raises(Failure, match=f"^{file}: {message}"):
        read_index(file)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"classes": None}, "classes in its metadata cannot be read"),
        ({"classes": [1, 2]}, "classes in its metadata cannot be read .Input should be a valid string"),
        ({"shards": None}, "shards in its metadata cannot be read"),
        ({"shards": []}, "shards in its metadata cannot be read .Input should be a valid dictionary"),
        ({"annotations": {"x": 3}}, "annotations in its metadata cannot be read"),
        (
            {"shards": {"../000000.tar": GOOD}},
            r"a shard is called '\.\./000000\.tar'; allowed are six digits and \.tar",
        ),
        ({"shards": {"/etc/passwd": GOOD}}, "a shard is called '/etc/passwd'; allowed are six digits"),
        ({"shards": {"000000.tar": "../victim"}}, r"the sha256 of 000000\.tar is '\.\./victim'; allowed are 64 hex"),
        ({"shards": {"000000.tar": f"{GOOD}\n"}}, r"the sha256 of 000000\.tar is .*; allowed are 64 hex"),
    ],
)
def test_metadata_that_is_not_allowed_is_named(file, metadata, message):
    describe(file, **metadata)
    with pytest.raises(Failure, match=f"^{file}: {message}"):
        read_index(file)


def test_json_that_is_too_deep_is_a_failure(file):
    table = pq.read_table(file)
    pq.write_table(table.replace_schema_metadata({"classes": "[" * 100_000, "shards": "{}"}), file)
    with pytest.raises(Failure, match="classes in its metadata cannot be read"):
        read_index(file)


def test_other_columns_are_named(file):
    pq.write_table(pq.read_table(file).drop_columns("offset"), file)
    with pytest.raises(Failure, match=f"{file}: its columns are key: string, .*; those of an index are key, label"):
        read_index(file)


def test_a_folder_or_a_pipe_in_the_place_of_an_index_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "pipe", tmp_path / "absent"):
        with pytest.raises(Failure, match=f"{place}: no index of shards"):
            read_index(place)


def test_an_index_without_rows_is_read(tmp_path):
    metadata = {"classes": "[]", "shards": "{}"}
    pq.write_table(pa.Table.from_pylist([], SCHEMA.with_metadata(metadata)), tmp_path / INDEX)
    assert len(Shards(tmp_path)) == 0


def test_an_index_whose_bytes_have_changed_gives_a_failure_or_images_as_they_were_packed(file):
    """A changed key, label or class leaves a right image: those have no checksum here."""
    content = np.frombuffer(file.read_bytes(), np.uint8)
    images = {sample.image for sample in some_samples(number=3)}
    rng = np.random.default_rng(0)
    read = 0
    for _ in range(FUZZED):
        changed = content.copy()
        places = rng.integers(len(content), size=rng.integers(1, 4))
        changed[places] = rng.integers(256, size=len(places))
        cut = len(content) if rng.random() < 0.8 else rng.integers(len(content))
        file.write_bytes(changed[:cut].tobytes())
        try:
            split = Shards(file.parent)
            found = [split[number] for number in range(len(split))]
        except Failure as failure:
            assert "\n" not in str(failure)
        else:
            assert images.issuperset(found)
            read += 1
    assert 0 < read < FUZZED
