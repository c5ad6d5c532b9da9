"""Validate a dataset's shards against its contract before other stages read them: `results/contract/<dataset>/`.

The contract consists of `datasets.<dataset>.expect` in params.yaml and of the invariants of every index of shards.
`contract.json` gives for each expectation whether it held, the observed value and the first rows that break it. If an
expectation is broken, the stage fails and keeps the file in `scratch/contract/<dataset>/`. The expectations are
evaluated by Great Expectations.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from whole_in_parts.config.datasets import Expectations
from whole_in_parts.config.study import Study
from whole_in_parts.data.shards import INDEX, INDEX_LIMIT, SCHEMA
from whole_in_parts.failure import Failure
from whole_in_parts.progress import progress
from whole_in_parts.results import result_dir, scratch_dir
from workflow import program

with warnings.catch_warnings():
    # Great Expectations 1.24 imports a deprecated name of re. Its usage statistics are turned off.
    warnings.simplefilter("ignore", DeprecationWarning)
    os.environ["GX_ANALYTICS_ENABLED"] = "False"
    import great_expectations as gx
    from great_expectations import expectations as gxe
    from great_expectations.data_context.types.base import ProgressBarsConfig

ABSENT = "absent"
FEW = 5
"""Limit of the rows that are shown for a broken expectation."""
VALUES = gxe.ExpectColumnValuesToBeBetween


class Split(NamedTuple):
    """The index of a split, its class names, the declared sha256 of its shards, and the size of the split."""

    name: str
    folder: Path
    index: pa.Table
    classes: list[str]
    checksums: dict[str, str]
    size: dict[str, int]


class TableContract(NamedTuple):
    """A table of a split and its expectations; `names` are the columns that identify a row in messages."""

    split: str
    table: pd.DataFrame
    names: list[str]
    expectations: list[gxe.Expectation]


def contract(study: Study, dataset: str, directory: Path) -> None:
    """Check both splits, write all verdicts, and fail if an expectation is broken."""
    splits = [read(result_dir("shard", dataset) / name) for name in ("train", "test")]
    # The other expectations cannot be evaluated on an index without the right columns.
    verdicts = judge(columns(split) for split in splits)
    if all(verdict["held"] for verdict in verdicts):
        verdicts += judge(content(splits, study.datasets[dataset].expect))

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
        yield of_classes(split, rows[split.name], expect, splits[0].classes)
    yield of_overlap(rows["train"], rows["test"], expect.duplicates)


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
        within("labels are numbers of classes", "label", 0, expect.classes - 1),
    ]
    return TableContract(split.name, rows, ["key", "shard"], expectations)


def of_classes(split: Split, rows: pd.DataFrame, expect: Expectations, names: list[str]) -> TableContract:
    """Expect the declared classes, the same names as in train, and balanced samples."""
    samples = rows["label"].value_counts().reindex(range(len(split.classes)), fill_value=0)
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


def of_overlap(train: pd.DataFrame, test: pd.DataFrame, duplicates: int) -> TableContract:
    """Expect few images that are in both splits; the table has a row for each of them."""
    unique = [rows[["sha256", "key", "shard"]].drop_duplicates("sha256") for rows in (train, test)]
    table = unique[0].dropna().merge(unique[1], on="sha256", suffixes=("_train", "_test"))
    count = gxe.ExpectTableRowCountToBeBetween
    few = expectation("few images are in both splits", f"at most {duplicates}", count, max_value=duplicates)
    return TableContract("train and test", table, ["key_train", "shard_train", "key_test", "shard_test"], [few])


def expectation(words: str, allowed: str, kind: type[gxe.Expectation], **arguments: Any) -> gxe.Expectation:
    """Create an expectation with its description and the allowed values."""
    return kind(description=words, notes=allowed, **arguments)


def equal(words: str, allowed: str, first: str, second: str) -> gxe.Expectation:
    """Expect two columns to be equal."""
    return expectation(words, allowed, gxe.ExpectColumnPairValuesToBeEqual, column_A=first, column_B=second)


def within(
    words: str, column: str, low: float | None, high: float | None = None, kind: type[gxe.Expectation] = VALUES
) -> gxe.Expectation:
    """Expect the values of a column within bounds."""
    allowed = f"at most {high:g}" if low is None else f"at least {low:g}" if high is None else span(low, high)
    return expectation(words, allowed, kind, column=column, min_value=low, max_value=high)


def span(low: float, high: float) -> str:
    """Format a range, or a single value if both bounds are equal."""
    return f"{low:.10g}" if low == high else f"{low:.10g} to {high:.10g}"


def judge(contracts: Iterable[TableContract]) -> list[dict[str, Any]]:
    """Evaluate every expectation of every table with Great Expectations."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    tables = context.data_sources.add_pandas("contract").add_dataframe_asset("tables")
    whole = tables.add_batch_definition_whole_dataframe("whole")
    verdicts: list[dict[str, Any]] = []

    for table in contracts:
        batch = whole.get_batch({"dataframe": table.table})
        form = {"result_format": "SUMMARY", "unexpected_index_column_names": table.names}
        verdicts += [verdict(table, rule, batch.validate(rule, result_format=form)) for rule in table.expectations]
    return verdicts


def verdict(table: TableContract, rule: gxe.Expectation, outcome: Any) -> dict[str, Any]:
    """Summarise an outcome; for an expectation on a whole table, its first rows are shown.

    Raises:
        Failure: the expectation could not be evaluated.
    """
    result, names = outcome.to_json_dict()["result"], table.names
    if not result:
        raise Failure(f"{table.split}: {rule.description}: cannot be judged: {outcome.exception_info}")
    rows = result.get("partial_unexpected_index_list", table.table[names][:FEW].to_dict("records"))
    # Great Expectations returns the columns of a row in no fixed order.
    rows = [{name: row[name] for name in [*names, *sorted(row.keys() - names)]} for row in rows[:FEW]]
    return {
        "split": table.split,
        "expectation": rule.description,
        "held": outcome.success,
        "observed": observed(table.table, rule, result),
        "allowed": rule.notes,
        "broken_by": [] if outcome.success else rows,
    }


def observed(table: pd.DataFrame, rule: gxe.Expectation, result: dict[str, Any]) -> str:
    """Format the observed value of a table, or the range of a column, and the number of rows that break the rule."""
    if "observed_value" in result:
        return f"{result['observed_value']}"
    total, wrong = result["element_count"], result["unexpected_count"]
    rows = f"{wrong} of {total} break it" if wrong else f"all {total}"
    if not total or not isinstance(rule, VALUES):
        return rows
    values = span(table[rule.column].min(), table[rule.column].max())
    return f"{values}; {rows}" if wrong else values


def complaint(dataset: str, verdict: dict[str, Any]) -> str:
    """Return a line for a broken expectation, and a line for each of the first rows that break it."""
    line = "{split}: {expectation}: observed {observed}; allowed {allowed}".format(**verdict)
    rows = [", ".join(f"{name} {value}" for name, value in row.items()) for row in verdict["broken_by"]]
    return "\n    ".join([f"{dataset} {line}", *rows])


if __name__ == "__main__":
    program.run(contract)
