"""A stage among other processes: alone at its work, and at an end when its parent is."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from whole_in_parts.failure import Failure
from whole_in_parts.process import exclusive

ROOT = Path(__file__).parents[2]


def test_a_lock_is_held_by_one_at_a_time_and_given_back(tmp_path):
    file = tmp_path / "folder/lock"
    named = rf"{file}: process {os.getpid()} on .* is running this stage; wait for it, or stop it"
    with exclusive(file), pytest.raises(Failure, match=named), exclusive(file, patience=0):
        pass
    with exclusive(file, patience=0):
        pass


def python(program: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_a_lock_is_waited_for_with_a_message_and_taken_from_a_process_that_is_killed(tmp_path, capfd):
    file = tmp_path / "lock"
    holds = f"""
import pathlib, time
from whole_in_parts.process import exclusive
with exclusive(pathlib.Path({str(file)!r})):
    print("held", flush=True)
    time.sleep(60)
"""
    with python(holds) as holder:
        assert holder.stdout.readline() == "held\n"
        waits, said = python(holds), ""
        while f"{file}: waiting for process {holder.pid} on" not in said:
            assert waits.poll() is None
            time.sleep(0.01)
            said += capfd.readouterr().err
        holder.kill()
        assert waits.stdout.readline() == "held\n"
        waits.kill()
        waits.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
def test_a_stage_that_dvc_started_ends_when_dvc_is_killed(monkeypatch):
    child = """
import os, time
from workflow import program
program.end_with_engine()
print(os.getpid(), flush=True)
time.sleep(60)
"""
    monkeypatch.setenv("DVC_STAGE", "pretrain@byol")
    with python(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])") as engine:
        stage = psutil.Process(int(engine.stdout.readline()))
        engine.send_signal(signal.SIGKILL)
        stage.wait(timeout=10)
    assert not stage.is_running()
