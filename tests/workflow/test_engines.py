"""Snakemake and DVC build the same artefacts from the same study, and agree at all times on what is left to do."""

import os
import random
import shutil
import signal
import subprocess
import time

import pytest

RUNS = ("random", "byol", "co_byol")


def each(*kinds: str, runs: tuple[str, ...] = RUNS) -> set[str]:
    return {f"{kind}/{run}" for kind in kinds for run in runs}


def assert_nothing_to_do(study):
    assert study.would_run() == set()
    assert "up to date" in study.run("dvc", "status")
    assert study.reproduce() == set()


def test_after_snakemake_neither_engine_has_anything_to_do(study):
    assert_nothing_to_do(study)


EDITS = {
    "how the neighbours vote": (
        lambda study: study["knn"].update(temperature=0.1),
        each("knn") | {"report"},
    ),
    "the probe, and all that is read through it": (
        lambda study: study["linear"].update(learning_rate=0.05),
        each("linear", "corrupt", "mask", "attack") | {"report"},
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
    assert study.would_run() == kinds | {"analyse/co_byol_similarity", "report"}


def test_an_edit_that_is_taken_back_runs_nothing(study):
    text = (study / "params.yaml").read_text()
    study.edit(lambda study: study["knn"].update(temperature=0.1))
    (study / "params.yaml").write_text(text)
    assert_nothing_to_do(study)


def test_modification_times_decide_nothing(study):
    dice = random.Random(0)
    for file in [*study.folder.glob("results/**/*"), *study.folder.glob("stages/**/*.py"), study / "params.yaml"]:
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


def test_a_killed_build_goes_on_where_it_was_and_ends_in_the_same_bytes(study, tmp_path):
    study.edit(lambda study: study["runs"]["byol"].update(epochs=3))
    whole = study.copy(tmp_path / "whole")
    shutil.rmtree(study / "logs")
    command = ("snakemake", "--cores", "all", "results/knn/byol")
    build = subprocess.Popen(
        command,
        cwd=study.folder,
        env=study.environment(),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (study / "logs/extract/byol.log").exists() and build.poll() is None:
        time.sleep(0.1)
    os.killpg(build.pid, signal.SIGKILL)
    build.wait()
    study.run("snakemake", "--unlock")
    left = study.would_run()
    assert "pretrain/byol" not in left
    assert {"extract/byol", "linear/byol", "knn/byol", "report"} <= left
    study.run("snakemake", "--cores", "all")
    whole.run("snakemake", "--cores", "all", "results/extract/byol")
    model = "results/pretrain/byol/model/model.safetensors"
    assert (study / model).read_bytes() == (whole / model).read_bytes()
    features = "results/extract/byol/test.arrow"
    assert (study / features).read_bytes() == (whole / features).read_bytes()
    assert_nothing_to_do(study)


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
