"""Validate a dataset's shards against its contract before other stages read them: `results/contract/<dataset>/`.

The contract consists of `datasets.<dataset>.expect` in params.yaml and of the invariants of every index of shards.
`contract.json` gives for each expectation whether it held, the observed value and the first rows that break it. If an
expectation is broken, the stage fails and keeps the file in `scratch/contract/<dataset>/`. The expectations are
evaluated by Great Expectations.

The first time, `expect` may be left out: `--propose` prints what the shards hold, to be read and kept in params.yaml.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from whole_in_parts.config.datasets import UNLABELLED, Expectations
from whole_in_parts.config.study import Study
from whole_in_parts.data.expectations import VALUES, TableContract, equal, expectation, gxe, judge, within
from whole_in_parts.data.shards import INDEX, INDEX_LIMIT, SCHEMA
from whole_in_parts.failure import Failure
from whole_in_parts.progress import progress
from whole_in_parts.results import result_dir, scratch_dir
from workflow import program

ABSENT = "absent"


class Split(NamedTuple):
    """The index of a split, its class names, the declared sha256 of its shards, and the size of the split."""

    name: str
    folder: Path
    index: pa.Table
    classes: list[str]
    checksums: dict[str, str]
    size: dict[str, int]


def contract(study: Study, dataset: str, directory: Path) -> None:
    """Check all splits, write all verdicts, and fail if an expectation is broken or there are none."""
    expect = study.expectations(dataset)
    splits = read_splits(dataset)
    if expect.unlabelled and splits[-1].name != UNLABELLED:
        raise Failure(f"datasets.{dataset}.expect.unlabelled: {expect.unlabelled}, but the source packs no such split")
    # The other expectations cannot be evaluated on an index without the right columns.
    verdicts = judge(columns(split) for split in splits)
    if all(verdict["held"] for verdict in verdicts):
        verdicts += judge(content(splits, expect))

    broken = [verdict for verdict in verdicts if not verdict["held"]]
    sizes = {split.name: split.size for split in splits}
    report = {"dataset": dataset, "held": not broken, "classes": splits[0].classes, "splits": sizes}
    text = json.dumps(report | {"expectations": verdicts}, indent=2, ensure_ascii=False) + "\n"

    kept = scratch_dir("contract", dataset) / "contract.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    for file in (directory / kept.name, kept):
        file.write_text(text, encoding="utf-8")

    if broken:
        summary = f"{len(broken)} of {len(verdicts)} expectations are broken; {kept} has them all"
        raise Failure("\n".join([summary, *(complaint(dataset, verdict) for verdict in broken)]))


def propose(study: Study, dataset: str) -> str:
    """Return the line of params.yaml that expects what the shards hold: `expect: {train: …, …}`."""
    splits = read_splits(dataset)
    rows = {split.name: split.index.to_pandas() for split in splits}
    sizes = pd.concat(rows.values())[["height", "width"]].agg(["min", "max"])

    counts = [samples_per_class(split) for split in splits if split.name != UNLABELLED]
    imbalance = max(samples.max() / samples[samples > 0].min() for samples in counts)
    expect = Expectations(
        **{name: len(table) for name, table in rows.items()},
        classes=len(splits[0].classes),
        height=sizes["height"].tolist(),
        width=sizes["width"].tolist(),
        # Two decimals, rounded up; the inner rounding leaves 1.1 as it is.
        imbalance=math.ceil(round(100 * imbalance, 6)) / 100,
        empty=max(int((samples == 0).sum()) for samples in counts),
        duplicates=max(len(in_both(name, rows[name], rows["test"])) for name in rows if name != "test"),
    )
    values = yaml.safe_dump(expect.model_dump(mode="json"), default_flow_style=True, sort_keys=False, width=math.inf)
    return f"    expect: {values.strip()}"


def read_splits(dataset: str) -> list[Split]:
    """Read the indices of train, test and, where there is one, `unlabelled`."""
    folder = result_dir("shard", dataset)
    names = ["train", "test", *([UNLABELLED] if (folder / UNLABELLED).exists() else [])]
    return [read(folder / name) for name in names]


def read(folder: Path) -> Split:
    """Read the index of a split.

    Raises:
        Failure: there is no index, or it does not name its classes and shards.
    """
    try:
        index = pq.read_table(folder / INDEX, thrift_string_size_limit=INDEX_LIMIT)
        classes, checksums = (json.loads(index.schema.metadata[part]) for part in (b"classes", b"shards"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failure(f"{folder / INDEX}: not an index that names its classes and shards ({error!r})") from error
    stored = sum(file.stat().st_size for file in folder.glob("*.tar"))
    size = {"samples": index.num_rows, "shards": len(checksums), "bytes": stored}
    return Split(folder.name, folder, index, classes, checksums, size)


def columns(split: Split) -> TableContract:
    """Expect the columns of an index, with their types."""
    declared, found = ({field.name: str(field.type) for field in schema} for schema in (SCHEMA, split.index.schema))
    types = [(name, declared.get(name, ABSENT), found.get(name, ABSENT)) for name in declared | found]
    table = pd.DataFrame(types, columns=["column", "declared", "found"])
    same = equal("columns and their types are those of an index", "as in data/shards.py", "declared", "found")
    return TableContract(split.name, table, ["column"], [same])


def content(splits: list[Split], expect: Expectations) -> Iterator[TableContract]:
    """Yield the expectations on shards, samples and classes of each split, and on duplicates between splits."""
    rows = {}
    for split in splits:
        rows[split.name], shards = measure(split)
        yield of_shards(split, shards, getattr(expect, split.name))
        yield of_samples(split, rows[split.name], expect)
        if split.name != UNLABELLED:
            yield of_classes(split, expect, splits[0].classes)
    for name in rows:
        if name != "test":
            yield of_overlap(name, rows[name], rows["test"], expect.duplicates)


def measure(split: Split) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the samples and the shards as tables, each with the sha256 that is `found` in the files."""
    rows = split.index.to_pandas()
    members = dict(list(rows.groupby("shard")))
    files = {file.name for file in split.folder.glob("*.tar")}
    shards, found = [], {}
    for name in progress(sorted({*split.checksums, *members, *files}), split.name, unit="shard"):
        file = split.folder / name
        inside = members.get(name, rows[:0])
        stored = file.read_bytes() if file.is_file() else None
        shards.append((name, len(inside), split.checksums.get(name, ABSENT), sha256(stored)))
        for row, start, size in inside[["offset", "bytes"]].dropna().astype(int).itertuples():
            found[row] = sha256(stored and stored[start : start + size])

    gaps = rows.isna()
    rows["gap"] = gaps.idxmax(axis="columns").where(gaps.any(axis="columns"))
    rows["found"] = [found.get(row, ABSENT) for row in rows.index]
    return rows, pd.DataFrame(shards, columns=["shard", "samples", "declared", "found"])


def sha256(content: bytes | None) -> str:
    """Return the sha256 of a content, or ABSENT without one."""
    return ABSENT if content is None else hashlib.sha256(content).hexdigest()


def of_shards(split: Split, shards: pd.DataFrame, samples: int) -> TableContract:
    """Expect complete shards and the declared number of samples."""
    expectations = [
        within("samples are as many as asked", "samples", samples, samples, gxe.ExpectColumnSumToBeBetween),
        within("every shard holds samples of the index", "samples", 1),
        equal("shards are the files that were packed", "the sha256 in the metadata", "declared", "found"),
    ]
    return TableContract(split.name, shards, ["shard", "samples"], expectations)


def of_samples(split: Split, rows: pd.DataFrame, expect: Expectations) -> TableContract:
    """Expect complete, unique and unchanged samples, with sizes and labels within their bounds."""
    labels = within("labels are numbers of classes", "label", 0, expect.classes - 1)
    if split.name == UNLABELLED:
        labels = within("images have no label", "label", -1, -1)
    named = {"column": "shard", "value_set": list(split.checksums)}
    hexadecimal = {"column": "sha256", "regex": "^[0-9a-f]{64}$"}
    expectations = [
        expectation("samples have a value in every column", "no gap", gxe.ExpectColumnValuesToBeNull, column="gap"),
        expectation("keys are unique", "each once", gxe.ExpectColumnValuesToBeUnique, column="key"),
        expectation("samples are in declared shards", "any of them", gxe.ExpectColumnValuesToBeInSet, **named),
        expectation("sha256 is 64 hexadecimal digits", "0-9, a-f", gxe.ExpectColumnValuesToMatchRegex, **hexadecimal),
        equal("images are the bytes that were indexed", "the sha256 in the index", "sha256", "found"),
        within("images have bytes", "bytes", 1),
        within("heights are within their bounds", "height", *expect.height),
        within("widths are within their bounds", "width", *expect.width),
        labels,
    ]
    return TableContract(split.name, rows, ["key", "shard"], expectations)


def of_classes(split: Split, expect: Expectations, names: list[str]) -> TableContract:
    """Expect the declared classes, the same names as in train, and balanced samples."""
    samples = samples_per_class(split)
    # Empty classes have an expectation of their own, so balance is relative to the smallest non-empty class.
    times = samples / samples[samples > 0].min()
    table = pd.DataFrame({"class": split.classes, "samples": samples, "times": times}).rename_axis(None)
    table["train"] = pd.Series(names).reindex(table.index)
    least, filled = "at least 1", (expect.classes - expect.empty) / expect.classes
    allowed = f"{least}, but for {expect.empty} of them" if expect.empty else least
    expectations = [
        expectation(
            "classes are as many as asked", f"{expect.classes}", gxe.ExpectTableRowCountToEqual, value=expect.classes
        ),
        equal("labels mean the same classes as in train", "the names in train", "class", "train"),
        expectation("every class has samples", allowed, VALUES, column="samples", min_value=1, mostly=filled),
        within("classes are balanced: samples, as times those of the smallest", "times", None, expect.imbalance),
    ]
    return TableContract(split.name, table, ["class", "samples"], expectations)


def samples_per_class(split: Split) -> pd.Series:
    """Count the samples of each class of a split, also of those without any."""
    labels = split.index["label"].to_pandas()
    return labels.value_counts().reindex(range(len(split.classes)), fill_value=0)


def of_overlap(name: str, images: pd.DataFrame, test: pd.DataFrame, duplicates: int) -> TableContract:
    """Expect few images that are in both a split and test; the table has a row for each of them."""
    table = in_both(name, images, test)
    count = gxe.ExpectTableRowCountToBeBetween
    few = expectation("few images are in both splits", f"at most {duplicates}", count, max_value=duplicates)
    columns = [f"key_{name}", f"shard_{name}", "key_test", "shard_test"]
    return TableContract(f"{name} and test", table, columns, [few])


def in_both(name: str, images: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """Return the images that are in both a split and test, with their keys and shards."""
    unique = [rows[["sha256", "key", "shard"]].drop_duplicates("sha256") for rows in (images, test)]
    return unique[0].dropna().merge(unique[1], on="sha256", suffixes=(f"_{name}", "_test"))


def complaint(dataset: str, verdict: dict[str, Any]) -> str:
    """Return a line for a broken expectation, and a line for each of the first rows that break it."""
    line = "{split}: {expectation}: observed {observed}; allowed {allowed}".format(**verdict)
    rows = [", ".join(f"{name} {value}" for name, value in row.items()) for row in verdict["broken_by"]]
    return "\n    ".join([f"{dataset} {line}", *rows])


if __name__ == "__main__":
    program.run(contract, propose)
