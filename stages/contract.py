"""Hold a dataset's shards to its contract, before anything reads them: `results/contract/<dataset>/contract.json`.

The contract is what `datasets.<dataset>.expect` in params.yaml declares, and what every index of shards has to hold.
The file tells of each expectation whether it held, what was observed, and the first rows that broke it. If one is
broken the stage fails, and the file is in `scratch/contract/<dataset>/`. Great Expectations is the judge.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from stages import program
from stages.images.shards import INDEX, SCHEMA
from stages.program import Failure, progress
from stages.study import Expectations, Study

with warnings.catch_warnings():
    # Great Expectations 1.24 imports a part of re by its old name.
    warnings.simplefilter("ignore", DeprecationWarning)
    # 1.24 sends nothing home; a version that does asks this first.
    os.environ["GX_ANALYTICS_ENABLED"] = "False"
    import great_expectations as gx
    from great_expectations import expectations as gxe

CONTRACT = "contract.json"
ABSENT = "absent"
FEW = 5
RESULT_FORMAT = {"result_format": "SUMMARY", "partial_unexpected_count": FEW}


class Split(NamedTuple):
    """The index of a split, and what its metadata gives: the names of the classes and the sha256 of each shard."""

    name: str
    folder: Path
    index: pa.Table
    classes: list[str]
    checksums: dict[str, str]


class Subject(NamedTuple):
    """A table and what it has to hold: `description` says it in plain words, `notes` what is allowed.

    `names` are the columns that tell people which row is meant.
    """

    split: str
    table: pd.DataFrame
    names: list[str]
    expectations: list[gxe.Expectation]


def contract(study: Study, dataset: str, directory: Path) -> None:
    splits = [read(program.result("shard", dataset) / name) for name in ("train", "test")]
    verdicts = judge(columns(split) for split in splits)
    if all(verdict["held"] for verdict in verdicts):
        verdicts += judge(content(splits, study.datasets[dataset].expect, dataset))
    broken = [verdict for verdict in verdicts if not verdict["held"]]
    report = {
        "dataset": dataset,
        "held": not broken,
        "classes": splits[0].classes,
        "splits": {split.name: size(split) for split in splits},
        "expectations": verdicts,
    }
    kept = program.scratch("contract", dataset) if broken else directory
    kept.mkdir(parents=True, exist_ok=True)
    (kept / CONTRACT).write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if broken:
        head = f"{len(broken)} of {len(verdicts)} expectations are broken; {kept / CONTRACT} has them all"
        raise Failure("\n".join([head, *(complaint(dataset, verdict) for verdict in broken)]))


def read(folder: Path) -> Split:
    """
    Raises:
        Failure: there is no index, or it does not say what its classes and shards are.
    """
    try:
        index = pq.read_table(folder / INDEX)
        classes, checksums = (json.loads(index.schema.metadata[part]) for part in (b"classes", b"shards"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failure(f"{folder / INDEX}: not an index that names its classes and shards ({error!r})") from error
    return Split(folder.name, folder, index, classes, checksums)


def columns(split: Split) -> Subject:
    """Nothing else can be judged where a column is absent or of another type."""
    declared, found = ({field.name: str(field.type) for field in schema} for schema in (SCHEMA, split.index.schema))
    types = [(name, declared.get(name, ABSENT), found.get(name, ABSENT)) for name in declared | found]
    table = pd.DataFrame(types, columns=["column", "declared", "found"])
    same = equal("columns and their types are those of an index", "the declared", "declared", "found")
    return Subject(split.name, table, ["column"], [same])


def content(splits: list[Split], expect: Expectations, dataset: str) -> Iterator[Subject]:
    """The shards, samples and classes of each split, and what both splits have in common."""
    tables = []
    for split in splits:
        rows, shards = measure(split, f"{dataset} {split.name}")
        yield of_shards(split, shards, getattr(expect, split.name))
        yield of_samples(split, rows, expect)
        yield of_classes(split, rows, expect)
        tables.append(rows)
    yield of_labels(*splits)
    yield of_overlap(*tables, duplicates=expect.duplicates)


def measure(split: Split, what: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The samples and the shards as tables, each with the sha256 that is `found` in the files."""
    rows = split.index.to_pandas()
    members = dict(list(rows.groupby("shard")))
    files = {file.name for file in split.folder.glob("*.tar")}
    shards: list[tuple] = []
    found: dict[int, str] = {}
    for name in progress(sorted({*split.checksums, *members, *files}), what, unit="shard"):
        file, inside = split.folder / name, members.get(name, rows[:0])
        shards.append((name, len(inside), split.checksums.get(name, ABSENT)))
        held = file.read_bytes() if file.is_file() else b""
        shards[-1] += (sha256(held) if held else ABSENT,)
        places = inside[["offset", "bytes"]].dropna().astype(int).itertuples()
        found |= {number: sha256(held[start : start + size]) for number, start, size in places}
    gaps = rows.isna()
    rows["empty"] = gaps.idxmax(axis="columns").where(gaps.any(axis="columns"))
    rows["found"] = [found.get(number, ABSENT) for number in rows.index]
    return rows, pd.DataFrame(shards, columns=["shard", "samples", "declared", "found"])


def of_shards(split: Split, shards: pd.DataFrame, samples: int) -> Subject:
    words = {"description": "samples are as many as params.yaml expects", "notes": f"{samples}"}
    expectations = [
        gxe.ExpectColumnSumToBeBetween(column="samples", min_value=samples, max_value=samples, **words),
        within("every shard holds samples of the index", "samples", 1),
        equal("shards are the files that were packed", "the declared sha256", "declared", "found"),
    ]
    return Subject(split.name, shards, ["shard", "samples"], expectations)


def of_samples(split: Split, rows: pd.DataFrame, expect: Expectations) -> Subject:
    named = {"description": "samples are in shards that the metadata names", "notes": f"{len(split.checksums)} shards"}
    digits = {"description": "sha256 is 64 hexadecimal digits", "notes": "0-9 and a-f"}
    expectations = [
        gxe.ExpectColumnValuesToBeNull(column="empty", description="samples have all their values", notes="no gaps"),
        gxe.ExpectColumnValuesToBeUnique(column="key", description="keys are unique", notes="each once"),
        gxe.ExpectColumnValuesToBeInSet(column="shard", value_set=list(split.checksums), **named),
        gxe.ExpectColumnValuesToMatchRegex(column="sha256", regex="^[0-9a-f]{64}$", **digits),
        equal("images are the bytes that were indexed", "the sha256 in the index", "sha256", "found"),
        within("images have bytes", "bytes", 1),
        within("heights are within their bounds", "height", *expect.height),
        within("widths are within their bounds", "width", *expect.width),
        within("labels are numbers of classes", "label", 0, expect.classes - 1),
    ]
    return Subject(split.name, rows, ["key", "shard"], expectations)


def of_classes(split: Split, rows: pd.DataFrame, expect: Expectations) -> Subject:
    samples = rows["label"].value_counts().reindex(range(len(split.classes)), fill_value=0)
    # A class without samples is one breach of its own; it does not make the balance infinite too.
    ratio = samples / samples[samples > 0].min()
    table = pd.DataFrame({"class": split.classes, "samples": samples, "times": ratio})
    words = {"description": "classes are as many as params.yaml expects", "notes": f"{expect.classes}"}
    expectations = [
        gxe.ExpectTableRowCountToEqual(value=expect.classes, **words),
        within("every class has samples", "samples", 1),
        within("classes are balanced: samples, as times those of the smallest", "times", None, expect.imbalance),
    ]
    return Subject(split.name, table, ["class", "samples"], expectations)


def of_labels(train: Split, test: Split) -> Subject:
    pairs = zip_longest(train.classes, test.classes, fillvalue=ABSENT)
    table = pd.DataFrame(pairs, columns=["train", "test"]).reset_index(names="label")
    same = equal("labels mean the same class in both splits", "one name for a label", "train", "test")
    return Subject("train and test", table, ["label"], [same])


def of_overlap(train: pd.DataFrame, test: pd.DataFrame, duplicates: int) -> Subject:
    """A row for each image that is in both splits, once or more."""
    once = [rows[["sha256", "key", "shard"]].dropna().drop_duplicates("sha256") for rows in (train, test)]
    table = once[0].merge(once[1], on="sha256", suffixes=("_train", "_test"))
    words = {"description": "few images are in both splits", "notes": f"at most {duplicates}"}
    few = gxe.ExpectTableRowCountToBeBetween(min_value=0, max_value=duplicates, **words)
    return Subject("train and test", table, ["key_train", "shard_train", "key_test", "shard_test"], [few])


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def equal(words: str, allowed: str, first: str, second: str) -> gxe.Expectation:
    return gxe.ExpectColumnPairValuesToBeEqual(column_A=first, column_B=second, description=words, notes=allowed)


def within(words: str, column: str, low: float | None, high: float | None = None) -> gxe.Expectation:
    notes = f"at most {high:g}" if low is None else f"at least {low:g}" if high is None else span(low, high)
    limits = {"min_value": low, "max_value": high}
    return gxe.ExpectColumnValuesToBeBetween(column=column, **limits, description=words, notes=notes)


def span(low: float, high: float) -> str:
    return f"{low:.10g}" if low == high else f"{low:.10g} to {high:.10g}"


def judge(subjects: Iterable[Subject]) -> list[dict]:
    """Let Great Expectations validate every expectation of every table."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    tables = context.data_sources.add_pandas("contract").add_dataframe_asset("tables")
    whole = tables.add_batch_definition_whole_dataframe("whole")
    verdicts = []
    for subject in subjects:
        batch = whole.get_batch({"dataframe": subject.table})
        form = RESULT_FORMAT | {"unexpected_index_column_names": subject.names}
        for expectation in subject.expectations:
            outcome = batch.validate(expectation, result_format=form).to_json_dict()
            verdicts.append(verdict(subject, expectation, outcome))
    return verdicts


def verdict(subject: Subject, expectation: gxe.Expectation, outcome: dict) -> dict:
    """What people read of an outcome.

    Raises:
        Failure: Great Expectations could not judge.
    """
    result, held = outcome["result"], outcome["success"]
    if not result:
        raise Failure(f"{subject.split}: {expectation.description}: cannot be judged: {outcome['exception_info']}")
    # What is wrong with a whole table has no rows of its own: its first rows are shown.
    rows = result.get("partial_unexpected_index_list", subject.table[subject.names][:FEW].to_dict("records"))
    return {
        "split": subject.split,
        "expectation": expectation.description,
        "held": held,
        "observed": observed(subject.table, expectation, result),
        "allowed": expectation.notes,
        # Great Expectations gives the columns of a row in no fixed order.
        "broken_by": []
        if held
        else [{name: row[name] for name in sorted(row, key=[*subject.names, *sorted(row)].index)} for row in rows],
    }


def observed(table: pd.DataFrame, expectation: gxe.Expectation, result: dict) -> str:
    """The number that a table has, the range of a column, or how many rows are right."""
    if "observed_value" in result:
        return f"{result['observed_value']}"
    total, wrong = result["element_count"], result["unexpected_count"]
    rows = f"{wrong} of {total} are not" if wrong else f"all {total} are"
    if total and isinstance(expectation, gxe.ExpectColumnValuesToBeBetween):
        values = table[expectation.column]
        return f"{span(values.min(), values.max())}; {rows}"
    return rows


def size(split: Split) -> dict[str, int]:
    """Of a split: its `bytes` are those of its shards."""
    files = [split.folder / name for name in split.checksums]
    stored = sum(file.stat().st_size for file in files if file.is_file())
    return {"samples": split.index.num_rows, "shards": len(files), "bytes": stored}


def complaint(dataset: str, verdict: dict) -> str:
    """A line for what is broken, and one for each of the first rows that broke it."""
    told = "{split}: {expectation}: observed {observed}; allowed {allowed}".format(**verdict)
    rows = [", ".join(f"{name} {value}" for name, value in row.items()) for row in verdict["broken_by"]]
    return "\n    ".join([f"{dataset} {told}", *rows])


if __name__ == "__main__":
    program.run(contract, keys="datasets")
