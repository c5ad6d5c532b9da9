"""Snakemake and DVC build the same artefacts from the same study, and agree at all times on what is left to do."""

import json
import os
import random
import shutil
import time

import pytest

from tests.workflow.conftest import checkout

RUNS = ("random", "byol", "co_byol")


def each(*kinds: str, runs: tuple[str, ...] = RUNS) -> set[str]:
    return {f"{kind}/{run}" for kind in kinds for run in runs}


def assert_nothing_to_do(study):
    assert study.would_run() == set()
    assert "up to date" in study.run("dvc", "status")
    assert study.reproduce() == set()


def test_after_snakemake_neither_engine_has_anything_to_do(study):
    assert_nothing_to_do(study)


MEASURED = {"seconds", "images_per_second", "peak_memory_mb"}
"""Metrics of a pretraining that differ from build to build."""


def contents(study, run: str) -> dict[str, object]:
    """What each file of the results of a run and of its dataset holds."""
    entries = {"digits", run, f"{run}_digits", f"{run}_neighbours", f"{run}_onnx"}
    found: dict[str, object] = {}
    for file in sorted(study.folder.glob("results/*/*/**/*")):
        result = str(file.relative_to(study.folder))
        if file.is_file() and not file.name.startswith(".") and result.split("/")[2] in entries:
            found[result] = file.read_bytes()
    metrics = f"results/pretrain/{run}/metrics.json"
    found[metrics] = {key: value for key, value in json.loads(found[metrics]).items() if key not in MEASURED}
    return found


def test_dvc_alone_builds_the_same_bytes_as_snakemake(built, tmp_path):
    alone = checkout(tmp_path)

    def keep_one_run(study: dict) -> None:
        for section in ("runs", "transfer", "analyse", "export"):
            study[section] = {name: entry for name, entry in study[section].items() if name.startswith("byol")}

    alone.edit(keep_one_run)
    alone.run("dvc", "repro")
    expected, found = contents(built, "byol"), contents(alone, "byol")
    assert found.keys() == expected.keys()
    assert [file for file in found if found[file] != expected[file]] == []


EDITS = {
    "how the neighbours vote": (
        lambda study: study["knn"].update(temperature=0.1),
        each("knn") | {"resolve", "report"},
    ),
    "the probe, and all that is read through it": (
        lambda study: study["linear"].update(learning_rate=0.05),
        each("linear", "corrupt", "mask", "attack") | {"export/byol_onnx", "resolve", "report"},
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_after_one_edit_both_run_what_read_it_and_what_follows_and_nothing_else(study, edit):
    change, expected = EDITS[edit]
    study.edit(change)
    assert study.would_run() == expected
    assert study.reproduce() == expected
    assert_nothing_to_do(study)


def test_a_weight_of_the_method_of_one_run_is_read_by_that_run_alone(study):
    study.edit(lambda study: study["runs"]["co_byol"]["modifier"].update(weight=0.9))
    kinds = each("pretrain", "extract", "linear", "knn", "corrupt", "mask", "attack", runs=("co_byol",))
    assert study.would_run() == kinds | {"analyse/co_byol_similarity", "resolve", "report"}


def test_an_edit_that_is_taken_back_runs_nothing(study):
    text = (study / "params.yaml").read_text()
    study.edit(lambda study: study["knn"].update(temperature=0.1))
    (study / "params.yaml").write_text(text)
    assert_nothing_to_do(study)


def test_modification_times_decide_nothing(study):
    dice = random.Random(0)
    for file in [
        *study.folder.glob("results/**/*"),
        *study.folder.glob("whole_in_parts/**/*.py"),
        study / "params.yaml",
    ]:
        moment = time.time() - dice.uniform(0, 1e6)
        os.utime(file, (moment, moment))
    assert_nothing_to_do(study)


def test_a_loss_of_snakemakes_records_runs_nothing(study):
    shutil.rmtree(study / ".snakemake")
    assert_nothing_to_do(study)


def test_a_lost_result_comes_back_from_the_cache_alone(study):
    shutil.rmtree(study / "results/pretrain/byol")
    study.run("snakemake", "--cores", "all")
    assert not list((study / "scratch").glob("pretrain/*"))
    assert_nothing_to_do(study)


def test_a_fresh_clone_that_pulls_has_nothing_to_do(study, tmp_path):
    study.run("dvc", "remote", "add", "--default", "laboratory", str(tmp_path / "remote"))
    study.run("dvc", "push")
    study.commit()
    clone = type(study)(tmp_path / "clone")
    study.run("git", "clone", "--quiet", str(study.folder), str(clone.folder))
    clone.run("dvc", "pull")
    assert_nothing_to_do(clone)


def test_a_kind_that_is_forced_runs_again_and_what_follows_comes_from_the_cache(study):
    shutil.rmtree(study / "logs")
    study.run("snakemake", "--cores", "all", "--forcerun", "linear")
    for run in RUNS:
        assert f"Running stage 'linear@{run}'" in (study / f"logs/linear/{run}.log").read_text()
        assert "Running stage" not in (study / f"logs/mask/{run}.log").read_text()
    assert not (study / "logs/knn").exists()
    assert_nothing_to_do(study)


def test_the_profile_of_every_machine_is_in_force(study):
    (study / ".snakemake/incomplete").mkdir(exist_ok=True)
    (study / ".snakemake/incomplete/cmVzdWx0cy9rbm4vYnlvbA==").touch()  # results/knn/byol
    (study / ".snakemake/locks").mkdir(exist_ok=True)
    (study / ".snakemake/locks/0.output.lock").write_text("results/knn/byol\n")
    shutil.rmtree(study / "results/knn/byol")
    study.run("snakemake", "--cores", "all")
    assert_nothing_to_do(study)


DEFAULT = (
    "whole_in_parts/config/training.py",
    "learning_rate_end: NotNegative = 0.0",
    "learning_rate_end: NotNegative = 0.1",
)
SCHEDULE = ("whole_in_parts/schedules.py", "(1 + math.cos", "(1.0 + math.cos")
METHOD = ("whole_in_parts/methods/byol.py", '"""', '"""Mended. ')
OTHER_METHOD = ("whole_in_parts/methods/dino.py", '"""', '"""Mended. ')
EVERY_PRETRAINING = each("pretrain")
PROBED = each("linear", "knn", "corrupt", "mask", "attack") | {"transfer/byol_digits", "export/byol_onnx"}
"""All that import the probe."""

ANALYSES = {"analyse/byol_neighbours", "analyse/co_byol_similarity"}


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (DEFAULT, EVERY_PRETRAINING | ANALYSES | {"report"}),
        (SCHEDULE, EVERY_PRETRAINING | PROBED | ANALYSES),
        (METHOD, each("pretrain", runs=("byol", "co_byol")) | ANALYSES),
        (OTHER_METHOD, set()),
    ],
    ids=["a default", "a schedule", "a method", "another method"],
)
def test_an_edit_of_code_is_seen_by_both_engines_where_it_is_run_and_nowhere_else(study, edit, expected):
    file, old, new = edit
    text = (study / file).read_text()
    assert old in text
    (study / file).write_text(text.replace(old, new, 1))
    would_run = study.would_run()
    assert "resolve" in study.run("dvc", "status")
    study.run("dvc", "repro", "resolve")
    changed = {address.replace("@", "/") for address in json.loads(study.run("dvc", "status", "--json"))}
    assert changed == expected
    assert would_run - {"resolve"} == study.would_run()
    assert expected <= would_run


def test_a_run_that_begins_with_another_is_built_after_it_and_is_stale_with_it(study):
    study.edit(lambda study: study["runs"].update(begun=study["runs"]["byol"] | {"start": "byol"}))
    study.run("snakemake", "--cores", "all", "results/pretrain/begun")
    assert "pretrain/begun" not in study.would_run()
    study.edit(lambda study: study["runs"]["byol"]["method"].update(predictor=48))
    assert {"pretrain/byol", "pretrain/begun"} <= study.would_run()
    printed = study.run("dvc", "repro", "pretrain@begun", fails=True)
    assert "byol was built from other options or code than the present ones" in printed
    assert "dvc repro pretrain@byol" in printed


def test_a_broken_contract_fails_the_build_and_nothing_downstream_runs(study):
    study.edit(lambda study: study["datasets"]["digits"]["expect"].update(train=1348))
    study.edit(lambda study: study["runs"]["byol"].update(epochs=3))
    marks = {file: file.read_bytes() for file in study.folder.glob("results/pretrain/*/metrics.json")}
    printed = study.run("snakemake", "--cores", "all", fails=True)
    assert "1348" in printed
    assert "1347" in printed
    assert study.run("dvc", "repro", fails=True)
    for file, content in marks.items():
        assert not file.exists() or file.read_bytes() == content


def test_a_wrong_study_is_refused_before_anything_runs(study):
    study.edit(lambda study: study["runs"]["byol"].update(batch_size=-3))
    printed = study.run("snakemake", "-n", fails=True)
    assert "runs.byol.batch_size: Input should be greater than or equal to 2 (given: -3)" in printed
    assert "Traceback" not in printed
