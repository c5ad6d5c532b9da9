"""After a kill, at whatever moment, the same command goes on and builds what is missing; nobody has to clean up."""

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import contextmanager

import psutil
import pytest

from tests.workflow.test_engines import assert_nothing_to_do

BUILD = ("snakemake", "--cores", "all")
PROBE = (*BUILD, "results/linear/byol")
"""A part of the study is enough where a training is killed: it, and what reads it."""

MODEL = "results/pretrain/byol/model/model.safetensors"


def start(study, command: tuple[str, ...] = BUILD) -> subprocess.Popen:
    shutil.rmtree(study / "logs")
    return subprocess.Popen(
        command,
        cwd=study.folder,
        env=study.environment(CHECKPOINT_SECONDS="0.1"),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not so after {seconds} seconds"
        time.sleep(0.02)


def at_work(study) -> list[psutil.Process]:
    """The processes that run in the folder of a study."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(study.folder.resolve()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def kill(build: subprocess.Popen, whole_group: bool) -> None:
    (os.killpg if whole_group else os.kill)(build.pid, signal.SIGKILL)
    build.wait()


MOMENTS = {
    "a training has a checkpoint": lambda study: any((study / "scratch/pretrain/byol").glob("*.pt")),
    "the result before is being recorded": lambda study: (study / "logs/extract/byol.log").exists(),
}
KILLS = [
    ("a training has a checkpoint", True),
    ("a training has a checkpoint", False),
    ("the result before is being recorded", True),
]


def longer(study: dict) -> None:
    """Give the training enough epochs to be killed in."""
    study["runs"]["byol"].update(epochs=8)


@pytest.fixture(scope="module")
def uninterrupted(built, tmp_path_factory) -> bytes:
    """The weights that the longer training ends in."""
    study = built.copy(tmp_path_factory.mktemp("uninterrupted") / "study")
    study.edit(longer)
    study.run("python", "-m", "stages.pretrain", "byol", OMP_NUM_THREADS="1")
    return (study / MODEL).read_bytes()


@pytest.mark.parametrize(("moment", "whole_group"), KILLS)
def test_after_a_kill_the_same_command_goes_on_and_ends_in_the_same_bytes(study, uninterrupted, moment, whole_group):
    study.edit(longer)
    build = start(study, PROBE)
    wait_for(lambda: MOMENTS[moment](study) or build.poll() is not None, moment)
    assert build.poll() is None
    kill(build, whole_group)
    wait_for(lambda: not at_work(study), "what Snakemake has started ends with it", seconds=30)
    assert {"linear/byol", "report"} <= study.would_run()
    study.run(*PROBE)
    assert not {"pretrain/byol", "extract/byol", "linear/byol"} & study.would_run()
    assert (study / MODEL).read_bytes() == uninterrupted


@contextmanager
def dvc_locked(study):
    """Hold DVC's lock, so that whoever has finished his work waits before he records it."""
    with (study / ".dvc/tmp/lock").open("a+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize("whole_group", [True, False], ids=["all processes", "Snakemake alone"])
def test_a_kill_between_a_result_and_its_record_leaves_that_stage_and_what_follows_to_do(study, whole_group):
    study.edit(lambda study: study["knn"].update(temperature=0.1))
    result = study / "results/knn/byol"
    before = (study / "dvc.lock").read_text()
    build = start(study)
    wait_for(lambda: (study / "scratch/knn/byol/unfinished").exists(), "the stage is at work")
    with dvc_locked(study):
        wait_for(lambda: (result / "metrics.json").exists(), "the stage has put its result in place")
        recorded = (study / "dvc.lock").read_text()
        kill(build, whole_group)
        wait_for(lambda: not at_work(study), "what Snakemake has started ends with it", seconds=40)
    assert [block for block in before.split("\n  ") if block.startswith("knn@byol")] == [
        block for block in recorded.split("\n  ") if block.startswith("knn@byol")
    ]
    assert {"knn/byol", "report"} <= study.would_run()
    study.run(*BUILD)
    assert_nothing_to_do(study)


def test_what_snakemake_noted_as_begun_hides_nothing_that_is_missing(study):
    (study / ".snakemake/incomplete").mkdir(exist_ok=True)
    (study / ".snakemake/incomplete/cmVzdWx0cy9zaGFyZC9kaWdpdHM=").touch()  # results/shard/digits
    shutil.rmtree(study / "results/pretrain")
    missing = study.would_run()
    assert {f"{kind}/{run}" for kind in ("pretrain", "extract", "knn") for run in ("random", "byol")} < missing
    study.run(*BUILD)
    assert_nothing_to_do(study)


def test_half_a_list_of_dvcs_locks_is_removed(study):
    (study / ".dvc/tmp/rwlock").write_text('{"read": {')
    assert study.would_run() == set()
    assert "up to date" in study.run("dvc", "status")
