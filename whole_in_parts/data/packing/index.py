"""The last step of packing: write the index of a split and move its finished shards into place."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from whole_in_parts.data.index import INDEX, SCHEMA
from whole_in_parts.data.packing import parts
from whole_in_parts.data.packing.plan import Plan

GROUP = 1 << 17
"""Approximate number of rows of the index that are held in memory at once."""


def finish(plan: Plan, classes: list[str], folder: Path) -> None:
    """Write the index, then move the shards beside it."""
    metadata = {"classes": json.dumps(classes), **_metadata(plan)}
    with pq.ParquetWriter(folder / INDEX, SCHEMA.with_metadata(metadata)) as writer:
        for table in _groups(plan):
            writer.write_table(table)

    for shard in plan.shards:
        tar = parts.tar_path(plan.folder, shard)
        tar.replace(folder / tar.name)


def _metadata(plan: Plan) -> dict[str, str]:
    """Return the checksums of the shards, and the annotations of their samples if there are any, as JSON."""
    checksums: dict[str, str] = {}
    annotations: dict[str, object] = {}
    for shard in plan.shards:
        info = parts.shard_info(plan.folder, shard)
        checksums[parts.tar_path(plan.folder, shard).name] = info["sha256"]
        annotations |= {row["key"]: row["annotation"] for row in info["rows"] if row["annotation"] is not None}

    return {"shards": json.dumps(checksums)} | ({"annotations": json.dumps(annotations)} if annotations else {})


def _groups(plan: Plan) -> Iterator[pa.Table]:
    """Yield all rows in tables of about GROUP rows."""
    tables: list[pa.Table] = []
    for shard in plan.shards:
        tables.append(pa.Table.from_pylist(parts.shard_info(plan.folder, shard)["rows"], SCHEMA))
        if sum(map(len, tables)) >= GROUP:
            yield pa.concat_tables(tables)
            tables.clear()
    if tables:
        yield pa.concat_tables(tables)
