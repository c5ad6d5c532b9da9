"""What cannot be built is refused with one line that names the file, process or key, and nothing has been done."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import threading
from dataclasses import replace

import pytest
from dvc.lock import LockError
from dvc.repo import Repo

from workflow import job
from workflow.dvc_lock import locked, when_free
from workflow.dvc_stages import Stage

HOSTILE = "$(touch ran)"


@pytest.fixture
def hostile(study):
    """The small study with a dataset whose name is a command of the shell."""
    study.edit(lambda study: study["datasets"].update({HOSTILE: study["datasets"]["digits"]}))
    return study


@pytest.mark.parametrize(
    "command",
    [
        ["snakemake", "--cores", "1"],
        ["dvc", "repro"],
        ["dvc", "repro", f"fetch@{HOSTILE}"],
        ["dvc", "repro", "--force", "--single-item", f"fetch@{HOSTILE}"],
        ["dvc", "repro", "--single-item", "knn@byol", "--force"],
        ["python", "-m", "stages.fetch", HOSTILE],
    ],
    ids=" ".join,
)
def test_a_study_that_is_not_valid_is_refused_and_no_word_of_it_is_run(hostile, command):
    printed = hostile.run(*command, fails=True)
    assert rf"params.yaml: datasets.{HOSTILE}.[key]: String should match pattern '^[A-Za-z0-9_]+$'" in printed
    assert "Traceback" not in printed
    assert not (hostile / "ran").exists()


def test_a_second_build_is_refused_by_the_process_that_builds(study):
    study.edit(lambda study: study["knn"].update(temperature=0.1))
    before = (study / "dvc.lock").read_bytes()
    with (study / ".snakemake/build.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.write("Snakemake's process 4711")
        stream.flush()
        printed = study.run("snakemake", "--cores", "1", fails=True)
        assert ".snakemake/build.lock: Snakemake's process 4711 builds here; wait for it, or stop it" in printed
        assert study.would_run()  # to look does no harm
    assert (study / "dvc.lock").read_bytes() == before
    study.run("snakemake", "--cores", "1", "results/knn/byol")


def test_a_look_at_a_study_beside_its_build_is_refused_by_the_process_that_builds(study):
    """A stage that runs holds DVC's lock on what it writes."""
    held = {"write": {str(study / "results/knn/byol"): {"pid": os.getpid(), "cmd": "job knn@byol"}}, "read": {}}
    (study / ".dvc/tmp/rwlock").write_text(json.dumps(held))
    said = f"results/knn/byol: process {os.getpid()} (job knn@byol) is at work on it; wait for it, or stop it\n"
    assert study.run("snakemake", "-n", fails=True).endswith(said)

    with (study / ".snakemake/build.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.write("Snakemake's process 4711")
        stream.flush()
        said = ".snakemake/build.lock: Snakemake's process 4711 builds here; wait for it, or stop it\n"
        assert study.run("snakemake", "--cores", "1", fails=True).endswith(said)


def test_a_path_that_dvc_is_at_work_on_is_waited_for_and_then_refused_by_the_process(study, monkeypatch, capfd):
    monkeypatch.chdir(study.folder)
    held = {"write": {}, "read": {str(study / "results/knn/byol"): [{"pid": os.getppid(), "cmd": "dvc push"}]}}
    (study / ".dvc/tmp/rwlock").write_text(json.dumps(held))
    stage = Stage.read_mark(study / ".snakemake/stale/results/knn/byol.json")
    said = rf"results/knn/byol: process {os.getppid()} \(dvc push\) is at work on it; wait for it, or stop it"
    with pytest.raises(LockError, match=said):
        when_free(lambda: job.run(replace(stage, forced=True)), patience=0)

    def free() -> None:
        (study / ".dvc/tmp/rwlock").write_text(json.dumps({"write": {}, "read": {}}))

    threading.Timer(2, free).start()
    when_free(lambda: job.run(stage))
    assert re.search(said, capfd.readouterr().err)


def test_a_folder_of_dvc_that_cannot_be_written_is_refused_with_one_line(study):
    shutil.rmtree(study / ".dvc/tmp")
    (study / ".dvc/tmp").touch()
    printed = study.run("snakemake", "-n", fails=True)
    assert printed.splitlines()[-1].endswith(f"File exists: '{study / '.dvc/tmp'}'")
    assert "Traceback" not in printed


def test_dvcs_lock_is_waited_for_and_then_refused_by_the_process_that_holds_it(study, monkeypatch):
    monkeypatch.chdir(study.folder)
    with Repo() as repo, (study / ".dvc/tmp/lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.write(f" {os.getpid()}\n")
        stream.flush()
        named = rf"lock: held by DVC's process {os.getpid()}; wait for it, or stop it"
        with pytest.raises(LockError, match=named), locked(repo, patience=0):
            pass


def test_a_damaged_record_is_named_with_the_way_back(study):
    good = (study / "dvc.lock").read_text()
    (study / "dvc.lock").write_text(good[:2000] + "\n  - {")
    printed = study.run("snakemake", "-n", fails=True)
    assert "dvc.lock" in printed
    assert "to go back: git checkout dvc.lock, or remove it, and results come back from the cache" in printed
    (study / "dvc.lock").unlink()
    study.run("snakemake", "--cores", "all")
    assert not list((study / "scratch").glob("pretrain/*"))
    assert study.would_run() == set()


def test_a_record_of_another_study_is_named_and_does_no_harm(study):
    lock = (study / "dvc.lock").read_text()
    start = lock.index("  knn@byol:\n")
    end = lock.index("\n", lock.index("nfiles", start)) + 1
    (study / "dvc.lock").write_text(lock + lock[start:end].replace("byol", "stranger"))
    printed = study.run("snakemake", "-n")
    said = "dvc.lock: records 1 stages that params.yaml does not have, such as knn@stranger: of another study"
    assert said in printed
    assert "Nothing to be done" in printed


def test_a_stage_that_another_process_is_at_is_waited_for_and_then_done(study):
    """As after a kill of DVC alone, whose stage has not ended yet."""
    lock = study / "scratch/lock/knn/byol"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.write("process 4711 on here")
        stream.flush()
        command = ("python", "-m", "stages.knn", "byol")
        waits = subprocess.Popen(command, cwd=study.folder, env=study.environment(), text=True, stderr=subprocess.PIPE)
        said = "scratch/lock/knn/byol: waiting for process 4711 on here, which is running this stage\n"
        assert waits.stderr.readline() == said
        assert waits.poll() is None
    waits.communicate()
    assert waits.returncode == 0


def test_a_target_that_is_mistyped_is_refused_with_the_nearest_that_are_there(study):
    printed = study.run("snakemake", "--cores", "1", "results/pretrain/boyl", fails=True)
    assert "results/pretrain/boyl: the study has no such result; the nearest are: results/pretrain/byol" in printed
    assert "Traceback" not in printed
    assert "KeyError" not in printed
