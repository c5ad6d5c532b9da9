import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from stages.contract import contract, propose
from stages.shard import pack
from whole_in_parts.config.datasets import Dataset, Expectations
from whole_in_parts.config.study import Study
from whole_in_parts.data.shards import INDEX, SCHEMA
from whole_in_parts.data.source import Arrays, Sample
from whole_in_parts.failure import Failure
from whole_in_parts.results import atomic_output_dir
from workflow import program

ROOT = Path(__file__).parents[2]
SHARDS = Path("results/shard/tiny")
HELD = Path("results/contract/tiny/contract.json")
BROKEN = Path("scratch/contract/tiny/contract.json")
CLASSES = ["circle", "square", "star"]
EXPECT = {"train": 12, "test": 6, "classes": 3, "height": (8, 8), "width": (6, 6), "imbalance": 2}
SAMPLES = "samples are as many as asked"
FILLED = "every shard holds samples of the index"
PACKED = "shards are the files that were packed"
GAPS = "samples have a value in every column"
KEYS = "keys are unique"
DECLARED = "samples are in declared shards"
DIGITS = "sha256 is 64 hexadecimal digits"
BYTES = "images are the bytes that were indexed"
SIZE = "images have bytes"
HEIGHTS = "heights are within their bounds"
WIDTHS = "widths are within their bounds"
LABELS = "labels are numbers of classes"
NUMBER = "classes are as many as asked"
NAMES = "labels mean the same classes as in train"
PRESENT = "every class has samples"
BALANCE = "classes are balanced: samples, as times those of the smallest"
SHARED = "few images are in both splits"

Row = dict[str, object]


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dataset of 12 and 6 images in three classes, in shards of five."""
    monkeypatch.chdir(tmp_path)
    save("train", images(12, seed=0))
    save("test", images(6, seed=1))


def images(count: int, seed: int, labels: list[int] | None = None) -> list[Sample]:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 8, 6), np.uint8)
    return list(Arrays(pixels, np.array(labels) if labels else np.arange(count) % 3))


def save(split: str, samples: list[Sample], classes: list[str] = CLASSES) -> None:
    folder = SHARDS / split
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    pack(samples, classes, folder, per_shard=5, label=split)


def rows(split: str) -> list[Row]:
    return pq.read_table(SHARDS / split / INDEX).to_pylist()


def edit(split: str, number: int, change: Row) -> Row:
    """Change a row of an index, and nothing else; give the row as it is then."""
    table = pq.read_table(SHARDS / split / INDEX)
    content = table.to_pylist()
    content[number] |= change
    changed = pa.Table.from_pylist(content, SCHEMA).replace_schema_metadata(table.schema.metadata)
    pq.write_table(changed, SHARDS / split / INDEX)
    return content[number]


def plan(**expect: object) -> Study:
    dataset = Dataset.model_construct(expect=Expectations.model_validate(EXPECT | expect))
    return Study.model_construct(datasets={"tiny": dataset})


def hold(**expect: object) -> dict:
    with atomic_output_dir("contract", "tiny") as directory:
        contract(plan(**expect), "tiny", directory)
    return json.loads(HELD.read_text())


def broken(**expect: object) -> tuple[str, dict[tuple[str, str], dict]]:
    """The message of a contract that does not hold, and its broken expectations by split and words."""
    with pytest.raises(Failure) as failure:
        hold(**expect)
    assert not HELD.exists()
    report = json.loads(BROKEN.read_text())
    assert not report["held"]
    assert str(BROKEN) in str(failure.value)
    lines = {(line["split"], line["expectation"]): line for line in report["expectations"] if not line["held"]}
    for (split, words), line in lines.items():
        told = f"tiny {split}: {words}: observed {line['observed']}; allowed {line['allowed']}"
        assert told in str(failure.value)
    return str(failure.value), lines


def test_a_whole_dataset_holds():
    report = hold()
    assert report["held"]
    assert report["dataset"] == "tiny"
    assert report["classes"] == CLASSES
    stored = sum(file.stat().st_size for file in (SHARDS / "train").glob("*.tar"))
    assert report["splits"]["train"] == {"samples": 12, "shards": 3, "bytes": stored}
    assert {line["split"] for line in report["expectations"]} == {"train", "test", "train and test"}
    assert all(line["held"] and line["broken_by"] == [] for line in report["expectations"])
    assert not BROKEN.exists()


def test_the_same_shards_make_the_same_contract():
    hold()
    first = HELD.read_bytes()
    hold()
    assert HELD.read_bytes() == first


@pytest.mark.parametrize(
    ("change", "breaches"),
    [
        ({"label": 3}, {LABELS: "0 to 3; 1 of 12 break it"}),
        ({"label": -1}, {LABELS: "-1 to 2; 1 of 12 break it"}),
        ({"height": 9}, {HEIGHTS: "8 to 9; 1 of 12 break it"}),
        ({"width": 5}, {WIDTHS: "5 to 6; 1 of 12 break it"}),
        ({"bytes": 0}, {SIZE: "0 to ", BYTES: "1 of 12 break it"}),
        ({"offset": 0}, {BYTES: "1 of 12 break it"}),
        ({"sha256": "0" * 63}, {DIGITS: "1 of 12 break it", BYTES: "1 of 12 break it"}),
        ({"sha256": "G" * 64}, {DIGITS: "1 of 12 break it", BYTES: "1 of 12 break it"}),
        ({"offset": None}, {GAPS: "1 of 12 break it", BYTES: "1 of 12 break it"}),
    ],
    ids=[
        "label above",
        "label below",
        "height",
        "width",
        "no bytes",
        "offset",
        "short sha256",
        "odd sha256",
        "no offset",
    ],
)
def test_a_sample_that_breaks_an_expectation_is_named_with_key_and_shard(change: Row, breaches: dict[str, str]):
    row = edit("train", 7, change)
    message, lines = broken()
    assert set(lines) == {("train", words) for words in breaches}
    for words, observed in breaches.items():
        line = lines["train", words]
        assert line["observed"].startswith(observed)
        assert [(each["key"], each["shard"]) for each in line["broken_by"]] == [(row["key"], "000001.tar")]
    assert f"key {row['key']}, shard 000001.tar" in message


def test_a_gap_is_named_with_its_column():
    row = edit("test", 0, {"label": None})
    assert broken()[1]["test", GAPS]["broken_by"] == [{"key": row["key"], "shard": "000000.tar", "gap": "label"}]


def test_a_duplicate_key_is_named_in_both_its_shards():
    row = edit("train", 11, {"key": rows("train")[0]["key"]})
    message, lines = broken()
    assert set(lines) == {("train", KEYS)}
    places = [{"key": row["key"], "shard": shard} for shard in ("000000.tar", "000002.tar")]
    assert lines["train", KEYS]["broken_by"] == places
    assert f"key {row['key']}, shard 000002.tar" in message


def test_only_the_first_rows_are_named():
    _, lines = broken(height=(9, 9))
    assert lines["train", HEIGHTS]["observed"] == "8; 12 of 12 break it"
    assert lines["train", HEIGHTS]["allowed"] == "9"
    first = [{name: row[name] for name in ("key", "shard", "height")} for row in rows("train")[:5]]
    assert lines["train", HEIGHTS]["broken_by"] == first
    assert {tuple(row) for row in lines["train", HEIGHTS]["broken_by"]} == {("key", "shard", "height")}


def test_a_flipped_byte_in_a_shard_is_named_with_the_image_that_it_hits():
    row, file = rows("test")[2], SHARDS / "test" / "000000.tar"
    content = bytearray(file.read_bytes())
    content[row["offset"] + row["bytes"] - 1] ^= 1
    file.write_bytes(content)
    message, lines = broken()
    assert set(lines) == {("test", PACKED), ("test", BYTES)}
    assert lines["test", PACKED]["broken_by"][0]["shard"] == "000000.tar"
    assert [line["key"] for line in lines["test", BYTES]["broken_by"]] == [row["key"]]
    assert f"key {row['key']}, shard 000000.tar" in message


@pytest.mark.parametrize(
    ("harm", "breaches"),
    [
        (lambda file: file.unlink(), {PACKED, BYTES}),
        (lambda file: file.write_bytes(b""), {PACKED, BYTES}),
        (lambda file: file.with_name("000009.tar").write_bytes(b"stray"), {PACKED, FILLED}),
    ],
    ids=["missing", "empty", "stray"],
)
def test_a_shard_that_is_not_as_packed_is_named(harm: Callable[[Path], object], breaches: set[str]):
    harm(SHARDS / "train" / "000002.tar")
    message, lines = broken()
    assert set(lines) == {("train", words) for words in breaches}
    named = lines["train", PACKED]["broken_by"][0]["shard"]
    assert named in {"000002.tar", "000009.tar"}
    assert f"shard {named}" in message


def test_a_sample_in_an_undeclared_shard_is_named():
    row = edit("train", 0, {"shard": "000007.tar"})
    _, lines = broken()
    assert set(lines) == {("train", words) for words in (DECLARED, BYTES)}
    assert lines["train", DECLARED]["broken_by"] == [{"key": row["key"], "shard": "000007.tar"}]


def test_a_declared_shard_without_samples_is_named():
    table = pq.read_table(SHARDS / "train" / INDEX)
    pq.write_table(table.slice(0, 10), SHARDS / "train" / INDEX)
    _, lines = broken(train=10)
    assert set(lines) == {("train", FILLED)}
    assert lines["train", FILLED]["broken_by"] == [{"shard": "000002.tar", "samples": 0}]


@pytest.mark.parametrize(("split", "asked"), [("train", 13), ("train", 11), ("test", 7)])
def test_counts_other_than_declared_are_told_shard_by_shard(split: str, asked: int):
    found = EXPECT[split]
    message, lines = broken(**{split: asked})
    assert set(lines) == {(split, SAMPLES)}
    assert (lines[split, SAMPLES]["observed"], lines[split, SAMPLES]["allowed"]) == (f"{found}", f"{asked}")
    assert sum(line["samples"] for line in lines[split, SAMPLES]["broken_by"]) == found
    assert "shard 000000.tar, samples 5" in message


def test_a_missing_class_is_named():
    save("test", images(6, seed=1, labels=[0, 1] * 3))
    message, lines = broken()
    assert set(lines) == {("test", PRESENT)}
    assert lines["test", PRESENT]["broken_by"] == [{"class": "star", "samples": 0}]
    assert "class star, samples 0" in message


def test_imbalance_is_told_with_the_class_that_is_too_large():
    save("train", images(12, seed=0, labels=[0] * 6 + [1] * 4 + [2] * 2))
    _, lines = broken()
    assert set(lines) == {("train", BALANCE)}
    assert lines["train", BALANCE]["observed"] == "1 to 3; 1 of 3 break it"
    assert lines["train", BALANCE]["broken_by"] == [{"class": "circle", "samples": 6, "times": 3.0}]
    assert hold(imbalance=3)["held"]


def test_classes_other_than_declared_are_told_for_both_splits():
    _, lines = broken(classes=4)
    assert set(lines) == {("train", NUMBER), ("test", NUMBER)}
    assert lines["train", NUMBER]["observed"] == "3"


def test_splits_that_name_their_classes_in_another_order_are_refused():
    save("test", images(6, seed=1), classes=["circle", "star", "square"])
    _, lines = broken()
    assert set(lines) == {("test", NAMES)}
    assert [line["class"] for line in lines["test", NAMES]["broken_by"]] == ["star", "square"]


def test_an_image_in_both_splits_is_named_with_key_and_shard():
    train, test = images(12, seed=0), images(6, seed=1)
    save("test", [*test[:5], test[5]._replace(image=train[8].image)])
    inside = next(row for row in rows("train") if row["key"] == train[8].key)
    message, lines = broken()
    assert set(lines) == {("train and test", SHARED)}
    line = lines["train and test", SHARED]
    assert (line["observed"], line["allowed"]) == ("1", "at most 0")
    outside = next(row for row in rows("test") if row["key"] == test[5].key)
    place = {"key_train": inside["key"], "shard_train": inside["shard"]}
    assert line["broken_by"] == [place | {"key_test": outside["key"], "shard_test": outside["shard"]}]
    assert f"key_train {inside['key']}, shard_train {inside['shard']}" in message
    assert hold(duplicates=1)["held"]


def unlabelled(count: int = 7) -> list[Sample]:
    """Pack images without labels beside train and test."""
    samples = images(count, seed=2, labels=[-1] * count)
    save("unlabelled", samples)
    return samples


def test_images_without_labels_are_held_to_their_number_and_to_the_other_expectations():
    unlabelled()
    assert proposed()["unlabelled"] == 7
    _, lines = broken()
    assert set(lines) == {("unlabelled", SAMPLES)}
    assert (lines["unlabelled", SAMPLES]["observed"], lines["unlabelled", SAMPLES]["allowed"]) == ("7", "0")
    assert hold(unlabelled=7)["splits"]["unlabelled"]["samples"] == 7


def test_an_image_that_has_a_label_among_those_without_is_named():
    unlabelled()
    row = edit("unlabelled", 0, {"label": 0})
    _, lines = broken(unlabelled=7)
    assert set(lines) == {("unlabelled", "images have no label")}
    place = {"key": row["key"], "shard": row["shard"], "label": 0}
    assert lines["unlabelled", "images have no label"]["broken_by"] == [place]


def test_a_test_image_among_those_without_labels_is_named_with_key_and_shard():
    samples = unlabelled()
    row = rows("test")[2]
    (original,) = [sample for sample in images(6, seed=1) if sample.key == row["key"]]
    save("unlabelled", [*samples[:6], samples[6]._replace(image=original.image)])
    message, lines = broken(unlabelled=7)
    assert set(lines) == {("unlabelled and test", SHARED)}
    assert f"key_unlabelled {samples[6].key}" in message
    assert f"key_test {row['key']}, shard_test {row['shard']}" in message
    assert proposed()["duplicates"] == 1
    assert hold(unlabelled=7, duplicates=1)["held"]


def test_images_without_labels_that_the_source_does_not_pack_are_refused_with_the_key():
    with pytest.raises(Failure, match=r"datasets\.tiny\.expect\.unlabelled: 7, but the source packs no such split"):
        hold(unlabelled=7)


@pytest.mark.parametrize(
    ("harm", "row"),
    [
        (lambda table: table.drop_columns("label"), {"column": "label", "declared": "int64", "found": "absent"}),
        (
            lambda table: table.append_column("note", pa.nulls(12, pa.string())),
            {"column": "note", "declared": "absent", "found": "string"},
        ),
        (
            lambda table: table.set_column(1, "label", table["label"].cast(pa.string())),
            {"column": "label", "declared": "int64", "found": "string"},
        ),
    ],
    ids=["dropped", "added", "other type"],
)
def test_a_column_that_is_not_as_declared_is_named_and_nothing_else_judged(harm: Callable, row: Row):
    table = pq.read_table(SHARDS / "train" / INDEX)
    pq.write_table(harm(table), SHARDS / "train" / INDEX)
    _, lines = broken()
    assert [line["broken_by"] for line in lines.values()] == [[row]]
    assert len(json.loads(BROKEN.read_text())["expectations"]) == 2


@pytest.mark.parametrize("harm", ["no file", "no parquet", "no metadata"])
def test_an_index_that_cannot_be_read_is_named(harm: str):
    file = SHARDS / "test" / INDEX
    table = pq.read_table(file)
    file.unlink()
    if harm == "no parquet":
        file.write_text("key,label")
    if harm == "no metadata":
        pq.write_table(table.replace_schema_metadata(None), file)
    with pytest.raises(Failure, match=str(file)):
        hold()


def test_every_breach_is_told_at_once():
    edit("train", 0, {"label": 9})
    edit("test", 0, {"height": 1})
    message, lines = broken(test=5)
    assert set(lines) == {("train", LABELS), ("test", HEIGHTS), ("test", SAMPLES)}
    assert message.startswith("3 of 35 expectations are broken")


def test_a_broken_contract_ends_the_program_and_leaves_the_result_of_before_alone(monkeypatch, capsys):
    hold()
    before = HELD.read_bytes()
    monkeypatch.setattr(program, "read_study", lambda kind, key: plan(train=13))
    monkeypatch.setattr(sys, "argv", ["contract.py", "tiny"])
    with pytest.raises(SystemExit, match=r"stages\.contract tiny: error: 1 of 35"):
        program.run(contract)
    assert HELD.read_bytes() == before
    assert not json.loads(BROKEN.read_text())["held"]
    assert "Calculating Metrics" not in capsys.readouterr().err


def proposed() -> dict:
    """What is printed for a dataset without `expect`, as YAML reads it."""
    content = yaml.safe_load(propose(Study.model_construct(), "tiny"))
    assert list(content) == ["expect"]
    return content["expect"]


def test_what_is_proposed_are_the_counts_sizes_balance_and_duplicates_of_the_shards():
    train, test = images(12, seed=0, labels=[0] * 7 + [1] * 5), images(6, seed=1, labels=[0] * 2 + [2] * 4)
    save("train", train)
    save("test", [*test[:5], test[5]._replace(image=train[8].image)])
    sides = {"height": [8, 8], "width": [6, 6]}
    counts = {"train": 12, "test": 6, "unlabelled": 0, "classes": 3}
    assert proposed() == counts | sides | {"imbalance": 2.0, "empty": 1, "duplicates": 1}


def test_sizes_are_proposed_from_the_smallest_to_the_largest_image_of_both_splits():
    edit("train", 0, {"height": 4})
    edit("test", 0, {"height": 30, "width": 7})
    assert (proposed()["height"], proposed()["width"]) == ([4, 30], [6, 7])


@pytest.mark.parametrize(
    ("labels", "imbalance"),
    [([0, 1, 2], 1.0), ([0] * 11 + [1] * 10 + [2] * 10, 1.1), ([0] * 4 + [1] * 3 + [2] * 3, 1.34)],
)
def test_what_is_proposed_holds_with_its_imbalance_rounded_up(labels: list[int], imbalance: float):
    save("train", images(len(labels), seed=0, labels=labels))
    assert proposed()["imbalance"] == imbalance
    assert hold(**proposed())["held"]


def test_a_dataset_without_expectations_is_refused_with_how_to_have_them_proposed(tmp_path):
    shutil.rmtree(SHARDS)  # nothing is read before
    study = Study.model_construct(datasets={"tiny": Dataset.model_construct(expect=None)})
    with pytest.raises(
        ValueError, match=r"datasets\.tiny\.expect: .* `python -m stages\.contract tiny --propose` prints"
    ):
        contract(study, "tiny", tmp_path)


def python(code: str, **environment: str) -> str:
    settings = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    done = subprocess.run([sys.executable, "-c", code], env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_other_stages_does_not_import_great_expectations():
    files = [
        file.relative_to(ROOT).with_suffix("")
        for file in (*ROOT.glob("stages/*.py"), *ROOT.glob("whole_in_parts/**/*.py"))
    ]
    own = [("stages", "contract"), ("whole_in_parts", "data", "expectations")]
    names = [".".join(file.parts) for file in files if file.parts not in own]
    imports = "\n".join(f"import {name}" for name in sorted(names))
    assert python(f"{imports}\nimport sys\nprint('great_expectations' in sys.modules)").split() == ["False"]


def test_telemetry_is_off():
    """Neither the import nor a validation looks a host up or connects to one, whatever the environment asks for."""
    printed = python(
        """
import sys

calls = []
sys.addaudithook(lambda event, _: calls.append(event) if event in ("socket.connect", "socket.getaddrinfo") else None)

import os
from pathlib import Path

from stages.contract import contract
from whole_in_parts.config.datasets import Dataset, Expectations
from whole_in_parts.config.study import Study

expect = Expectations(train=12, test=6, classes=3, height=(8, 8), width=(6, 6), imbalance=2)
contract(Study.model_construct(datasets={"tiny": Dataset.model_construct(expect=expect)}), "tiny", Path())
print(calls, os.environ["GX_ANALYTICS_ENABLED"])
""",
        GX_ANALYTICS_ENABLED="True",
    )
    assert printed == "[] False\n"
    assert json.loads(Path("contract.json").read_text())["held"]
