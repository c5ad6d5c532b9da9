"""The index of a split, `index.parquet`: every field is checked when it is read, as it may come from elsewhere.

A row is an image: its key, label, extent in pixels, sha256, and its place in a shard. The metadata names the classes,
gives the sha256 of every shard, and has the annotations of samples by key.
"""

import binascii
import json
import mmap
import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from whole_in_parts.failure import Failure, first_line

INDEX = "index.parquet"
SCHEMA = pa.schema(
    {
        "key": pa.string(),
        "label": pa.int64(),
        "height": pa.int32(),
        "width": pa.int32(),
        "bytes": pa.int64(),
        "sha256": pa.string(),
        "shard": pa.string(),
        "offset": pa.int64(),
    }
)
INDEX_LIMIT = 2**31 - 1
"""Limit in bytes of the metadata of an index: the masks of a large set exceed pyarrow's default."""
SHARD_LIMIT = 1 << 40
"""Limit in bytes of an offset or a size."""
SHA256 = "^[0-9a-f]{64}$"
SHARD_NAME = re.compile(r"[0-9]{6,}\.tar")
NO_LABEL = -1
METADATA: dict[str, TypeAdapter[Any]] = {
    "classes": TypeAdapter(list[str]),
    "shards": TypeAdapter(dict[str, str]),
    "annotations": TypeAdapter(dict[str, dict[str, Any]]),
}


class Index(NamedTuple):
    """The content of an index; N images."""

    keys: list[str]
    labels_N: NDArray[np.int64]
    extents_N2: NDArray[np.int64]
    """Height and width in pixels."""
    sizes_N: NDArray[np.int64]
    """Bytes of the image files."""
    digests_N32: NDArray[np.uint8]
    """The sha256 of the image files."""
    shards: list[str]
    """The name of the shard of each image."""
    offsets_N: NDArray[np.int64]
    ends: dict[str, int]
    """For each shard, the byte behind its last image."""
    classes: list[str]
    checksums: dict[str, str]
    """The sha256 of each shard, by name."""
    annotations: dict[str, Any]


def read_index(file: Path) -> Index:
    """Read and check an index.

    Raises:
        Failure: there is none, it is broken, or a field has a value that is not allowed.
    """
    table = read_table(file)
    classes, checksums, annotations = (metadata(file, table, name) for name in METADATA)
    check_checksums(file, checksums)
    check_rows(file, table, len(classes), checksums)

    keys = table["key"].to_pylist()
    check_unique(file, keys)

    named = table["shard"].combine_chunks().dictionary_encode()
    names, codes_N = named.dictionary.to_pylist(), named.indices.to_numpy()
    sizes_N, offsets_N = table["bytes"].to_numpy(), table["offset"].to_numpy()
    ends = np.zeros(len(names), np.int64)
    np.maximum.at(ends, codes_N, offsets_N + sizes_N)

    return Index(
        keys=keys,
        labels_N=table["label"].to_numpy().copy(),
        extents_N2=np.stack([table["height"].to_numpy(), table["width"].to_numpy()], 1).astype(np.int64),
        sizes_N=sizes_N,
        digests_N32=digests(table["sha256"]),
        shards=[names[code] for code in codes_N.tolist()],
        offsets_N=offsets_N,
        ends=dict.fromkeys(checksums, 0) | dict(zip(names, ends.tolist(), strict=True)),
        classes=classes,
        checksums=checksums,
        annotations=annotations,
    )


def read_table(file: Path) -> pa.Table:
    """Read the columns of an index.

    Raises:
        Failure: there is no such file, it is broken, or it has other columns.
    """
    if not file.is_file():
        raise Failure(f"{file}: no index of shards")
    try:
        with pq.ParquetFile(file, thrift_string_size_limit=INDEX_LIMIT) as opened:  # quicker than read_table
            table = opened.read()
        table.validate(full=True)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise Failure(f"{file}: no index of shards ({first_line(error)})") from error

    if not table.schema.equals(SCHEMA):
        found = ", ".join(f"{field.name}: {field.type}" for field in table.schema)
        raise Failure(f"{file}: its columns are {found}; those of an index are {', '.join(SCHEMA.names)}")
    return table.combine_chunks()


def metadata(file: Path, table: pa.Table, name: str) -> Any:
    """Return a part of the metadata; annotations may be left out.

    Raises:
        Failure: it is missing, or no JSON of its kind.
    """
    content = (table.schema.metadata or {}).get(name.encode(), b"{}" if name == "annotations" else b"")
    try:
        return METADATA[name].validate_python(json.loads(content), strict=True)
    except (ValueError, RecursionError) as error:
        problem = error.errors()[0]["msg"] if isinstance(error, ValidationError) else first_line(error)
        raise Failure(f"{file}: {name} in its metadata cannot be read ({problem})") from error


def check_checksums(file: Path, checksums: dict[str, str]) -> None:
    """Check the names of the shards and their checksums, of which paths of files are made.

    Raises:
        Failure: one is not allowed.
    """
    for name, checksum in checksums.items():
        if not SHARD_NAME.fullmatch(name):
            raise Failure(f"{file}: a shard is called {name!r}; allowed are six digits and .tar, as 000000.tar")
        if not re.fullmatch(SHA256, checksum) or "\n" in checksum:
            raise Failure(f"{file}: the sha256 of {name} is {checksum!r}; allowed are 64 hexadecimal digits")


def check_rows(file: Path, table: pa.Table, classes: int, checksums: dict[str, str]) -> None:
    """Check the values of every column.

    Raises:
        Failure: one is not allowed.
    """
    for name in table.column_names:
        check_column(file, table, name, pc.is_valid(table[name]), "a value in every row")

    labels = table["label"]
    if not pc.all(pc.equal(labels, NO_LABEL)).as_py():
        check_column(file, table, "label", within(labels, 0, classes - 1), f"0 to {classes - 1}, or -1 in all rows")
    for name in ("height", "width"):
        check_column(file, table, name, within(table[name], 1, 2**31 - 1), "at least 1")

    check_column(file, table, "bytes", within(table["bytes"], 1, SHARD_LIMIT), f"1 to {SHARD_LIMIT}")
    check_column(file, table, "offset", within(table["offset"], 0, SHARD_LIMIT), f"0 to {SHARD_LIMIT}")
    is_digest = pc.and_(
        pc.match_substring_regex(table["sha256"], SHA256), pc.equal(pc.binary_length(table["sha256"]), 64)
    )
    check_column(file, table, "sha256", is_digest, "64 hexadecimal digits")
    is_named = pc.is_in(table["shard"], value_set=pa.array([*checksums], pa.string()))
    check_column(file, table, "shard", is_named, "a shard of the metadata")


def check_unique(file: Path, keys: list[str]) -> None:
    """Check that no key is repeated.

    Raises:
        Failure: one is.
    """
    if len(set(keys)) < len(keys):
        repeated, rows = Counter(keys).most_common(1)[0]
        raise Failure(f"{file}: the key {repeated} has {rows} rows; allowed: one row for each key")


def digests(column: pa.ChunkedArray) -> NDArray[np.uint8]:
    """Return the digests (N, 32) of a column of 64 hexadecimal digits, without a Python string for each."""
    (_, digits) = column.combine_chunks().cast(pa.binary()).cast(pa.binary(64)).buffers()
    return np.frombuffer(binascii.unhexlify(digits), np.uint8).reshape(-1, 32)


def within(column: pa.ChunkedArray, low: int, high: int) -> pa.ChunkedArray:
    """Return whether each value is within bounds."""
    return pc.and_(pc.greater_equal(column, low), pc.less_equal(column, high))


def check_column(file: Path, table: pa.Table, name: str, allowed_N: pa.ChunkedArray, allowed: str) -> None:
    """Check that all values of a column are allowed.

    Raises:
        Failure: one is not; the first is named.
    """
    row = pc.index(allowed_N, False).as_py()
    if row >= 0:
        value, key = table[name][row].as_py(), table["key"][row].as_py()
        raise Failure(f"{file}: {name} of row {row} (key {key}) is {value!r}; allowed: {allowed}")


def map_shard(file: Path, end: int) -> mmap.mmap:
    """Map a shard into memory; `end` is the byte behind its last image.

    Raises:
        Failure: it is missing or empty, or `end` lies outside it.
    """
    try:
        with file.open("rb") as stream:
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise Failure(f"{file}: a shard that the index names is missing or empty") from error
    if end > len(mapped):
        raise Failure(f"{file}: it has {len(mapped)} bytes, and the index has images up to byte {end}: it is cut short")
    return mapped
