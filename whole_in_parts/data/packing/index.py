"""What the shards of a split become when all are there: they are moved to their place, with an index of all rows."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from whole_in_parts.data.packing import parts
from whole_in_parts.data.packing.plan import Plan
from whole_in_parts.data.shards import INDEX, SCHEMA

GROUP = 1 << 17
"""How many rows of the index are in memory at once, about."""


def finish(plan: Plan, classes: list[str], folder: Path) -> None:
    """Write the index, shard by shard, and then move the shards beside it."""
    metadata = {"classes": json.dumps(classes), **_metadata(plan)}
    with pq.ParquetWriter(folder / INDEX, SCHEMA.with_metadata(metadata)) as writer:
        for table in _groups(plan):
            writer.write_table(table)
    for shard in plan.shards:
        tar = parts.tar_of(plan.folder, shard)
        tar.replace(folder / tar.name)


def _metadata(plan: Plan) -> dict[str, str]:
    """The checksums of the shards, and the annotations of their samples, if there are any."""
    checksums: dict[str, str] = {}
    annotations: dict[str, object] = {}
    for shard in plan.shards:
        found = parts.facts(plan.folder, shard)
        checksums[parts.tar_of(plan.folder, shard).name] = found["sha256"]
        annotations |= {row["key"]: row["annotation"] for row in found["rows"] if row["annotation"] is not None}
    return {"shards": json.dumps(checksums)} | ({"annotations": json.dumps(annotations)} if annotations else {})


def _groups(plan: Plan) -> Iterator[pa.Table]:
    """All rows, in tables of about so many as may be in memory at once."""
    tables: list[pa.Table] = []
    for shard in plan.shards:
        tables.append(pa.Table.from_pylist(parts.facts(plan.folder, shard)["rows"], SCHEMA))
        if sum(map(len, tables)) >= GROUP:
            yield pa.concat_tables(tables)
            tables.clear()
    if tables:
        yield pa.concat_tables(tables)
