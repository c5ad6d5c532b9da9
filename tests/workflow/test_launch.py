import os
import socket
import subprocess
import sys

import pytest

from whole_in_parts.failure import Failure
from workflow.launch import launcher

SLURM = {"SLURM_JOB_ID": "42", "SLURM_JOB_NUM_NODES": "2"}


@pytest.mark.parametrize(
    ("environment", "gpus"),
    [({}, 0), ({}, 1), ({"PROCESSES_PER_NODE": "1"}, 8), ({"RANK": "1"}, 8), (SLURM | {"RANK": "0"}, 1)],
    ids=["a processor", "one GPU", "as told", "started by torchrun", "started by srun and torchrun"],
)
def test_one_process_and_what_was_started_as_one_of_several_start_nothing(environment, gpus):
    assert launcher(environment, gpus) == []


def test_there_is_a_process_for_each_gpu():
    command = launcher({}, 8)
    assert {"--nnodes=1", "--nproc-per-node=8", "--standalone"} <= set(command)


def test_over_nodes_srun_starts_torchrun_on_each():
    command = launcher(SLURM | {"MASTER_ADDR": "head", "MASTER_PORT": "29777"}, 4)
    assert command[:4] == ["srun", "--nodes=2", "--ntasks=2", "--ntasks-per-node=1"]
    assert {"--nnodes=2", "--nproc-per-node=4", "--rdzv-id=42", "--rdzv-endpoint=head:29777"} <= set(command)


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """A function that sets what a stand-in for Slurm's `squeue` says."""

    def says(script: str) -> None:
        file = tmp_path / "squeue"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    return says


def test_where_only_the_number_of_the_job_is_left_slurm_is_asked_for_its_nodes(squeue):
    squeue('test "$2" = --jobs=42 && echo 3')
    assert {"--nodes=3", "--nproc-per-node=4"} <= set(launcher({"SLURM_JOB_ID": "42", "MASTER_ADDR": "head"}, 4))
    squeue("echo 1")
    assert "--nnodes=1" in launcher({"SLURM_JOB_ID": "42"}, 4)


def test_in_a_job_of_one_node_a_single_process_has_a_step_of_its_own(tmp_path, monkeypatch):
    job = {"SLURM_JOB_ID": "42", "SLURM_JOB_NUM_NODES": "1"}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert launcher(job, 1) == []  # in a container, say, in which there is no Slurm
    (tmp_path / "srun").touch(mode=0o755)
    command = launcher(job, 1)
    assert command[:3] == ["srun", "--nodes=1", "--ntasks=1"]
    assert {"--overlap", "--nproc-per-node=1", "--standalone"} <= set(command)


def test_a_slurm_that_does_not_answer_is_an_error_and_not_one_node(squeue):
    squeue("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    with pytest.raises(Failure, match="how many nodes job 42 has: slurm_load_jobs error"):
        launcher({"SLURM_JOB_ID": "42"}, 1)


def test_jobs_at_one_time_meet_at_different_ports():
    commands = [launcher(SLURM | {"SLURM_JOB_ID": job}, 1) for job in ("42", "43")]
    ends = {part for command in commands for part in command if "endpoint" in part}
    assert len(ends) == 2


@pytest.mark.parametrize("name", ["PROCESSES_PER_NODE", "SLURM_JOB_NUM_NODES", "MASTER_PORT"])
def test_a_variable_that_is_no_number_is_refused_by_its_name(name):
    with pytest.raises(Failure, match=f"^{name}=two: allowed is a whole number of 1 or more"):
        launcher(SLURM | {"MASTER_ADDR": "head", name: "two"}, 1)


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_rank_that_is_started_by_hand_on_a_port_in_use_ends_with_one_line(tmp_path, root, rank):
    (tmp_path / "params.yaml").write_text((root / "workflow/studies/small.yaml").read_text())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ranks = {"RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "RANK_TIMEOUT_SECONDS": "3"}
        ranks |= {"MASTER_PORT": str(taken.getsockname()[1]), "PYTHONPATH": str(root)}
        command = [sys.executable, "-m", "stages.pretrain", "byol"]
        done = subprocess.run(
            command, cwd=tmp_path, env=os.environ | ranks, capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 1
    said = f"stages.pretrain byol: error: rank {rank}: no rendezvous at MASTER_ADDR:MASTER_PORT, 127.0.0.1:"
    assert done.stderr.splitlines()[-1].startswith(said)
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_named_with_what_to_do():
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Failure, match=rf"port {port}, .* is in use; set MASTER_PORT"):
            launcher(SLURM | {"MASTER_PORT": str(port)}, 1)
