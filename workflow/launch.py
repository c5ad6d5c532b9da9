"""Start a stage as several processes by torchrun, as the environment sets, never as `params.yaml` does.

- On one machine there are as many processes as GPUs, or `PROCESSES_PER_NODE`.
- In a Slurm job, `srun` starts torchrun on every node, even on a single one: Slurm's signal before the time limit goes
  to all processes of a step, and a separate step keeps it away from Snakemake and DVC.
- A stage that the user starts by torchrun runs unchanged, on any number of machines.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path

from whole_in_parts.config.study import Study
from whole_in_parts.distributed.environment import default_device
from whole_in_parts.distributed.group import group, timeout
from whole_in_parts.environment import int_from_environment
from whole_in_parts.failure import Failure
from whole_in_parts.results import interrupted_mark
from workflow import program

FORWARDED = (signal.SIGTERM, signal.SIGUSR1)
"""Signals that end a training with a checkpoint."""

PORTS = range(20000, 40000)
"""The ports of the rendezvous, chosen by the job id; `MASTER_PORT` overrides the choice."""


def run(stage: Callable[[Study, str, Path], None]) -> None:
    """Run `stage(study, key, directory)` as a program of as many processes as the environment has; rank zero writes."""
    distribute()

    @wraps(stage)
    def joined(study: Study, key: str, directory: Path) -> None:
        with group(default_device()):
            stage(study, key, directory)

    program.run(joined)


def distribute() -> None:
    """Start this program as several processes if the environment has several, and exit with their exit code."""
    import torch

    program.end_with_engine()
    kind = f"stages.{Path(sys.argv[0]).stem}"
    try:
        command = launcher(os.environ, torch.cuda.device_count())
        if command:
            sys.exit(supervise([*command, "-m", kind, *sys.argv[1:]], kind.rpartition(".")[2]))
    except (Failure, ValueError, OSError) as error:
        sys.exit(f"{kind}: error: {error}")


def launcher(environment: Mapping[str, str], gpus: int) -> list[str]:
    """Build the command that starts the processes; empty for a single process and for one that torchrun started."""
    if "RANK" in environment:
        return []

    nodes = nodes_of_job(environment)
    processes = int_from_environment("PROCESSES_PER_NODE", max(gpus, 1), 1, environment)
    job = environment.get("SLURM_JOB_ID") if nodes > 1 or shutil.which("srun") else None
    if nodes * processes == 1 and not job:
        return []

    torchrun = [
        shutil.which("torchrun") or "torchrun",
        f"--nnodes={nodes}",
        f"--nproc-per-node={processes}",
        f"--signals-to-handle=SIGINT,{','.join(number.name for number in FORWARDED)}",
    ]
    # By default srun gives each task one core; --cpu-bind=none lifts that, --overlap shares the parent step's cores.
    step = ["srun", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", "--cpu-bind=none", "--overlap"]
    rendezvous_options = ["--standalone"] if nodes == 1 else rendezvous(environment)
    return [*(step if job else []), *torchrun, *rendezvous_options]


def nodes_of_job(environment: Mapping[str, str]) -> int:
    """Return the number of nodes of the Slurm job, or 1 without Slurm.

    Jobs of Snakemake keep no variable of Slurm's but the job id, so squeue gives the number.

    Raises:
        Failure: Slurm does not answer, or has no such job.
    """
    job = environment.get("SLURM_JOB_ID")
    if "SLURM_JOB_NUM_NODES" in environment or not job:
        return int_from_environment("SLURM_JOB_NUM_NODES", 1, 1, environment)
    squeue = subprocess.run(["squeue", "--noheader", f"--jobs={job}", "--format=%D"], capture_output=True, text=True)
    if squeue.returncode or not squeue.stdout.strip():
        raise Failure(f"squeue does not give how many nodes job {job} has: {squeue.stderr.strip()}")
    return int(squeue.stdout)


def rendezvous(environment: Mapping[str, str]) -> list[str]:
    """List torchrun's options for the rendezvous of the nodes of a Slurm job."""
    return [
        "--rdzv-backend=c10d",
        f"--rdzv-endpoint={endpoint(environment)}",
        f"--rdzv-id={environment['SLURM_JOB_ID']}",
        f"--rdzv-conf=join_timeout={round(timeout().total_seconds())}",
    ]


def endpoint(environment: Mapping[str, str]) -> str:
    """Choose the host and port of the rendezvous: this node, which is the first of the job.

    Raises:
        Failure: the port is in use.
    """
    default = PORTS[int(environment["SLURM_JOB_ID"]) % len(PORTS)]
    port = int_from_environment("MASTER_PORT", default, 1, environment)
    host = environment.get("MASTER_ADDR", socket.gethostname())
    with socket.socket() as test:
        test.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of an earlier job may linger
        try:
            test.bind(("", port))
        except OSError as error:
            raise Failure(f"port {port}, for the rendezvous, is in use; set MASTER_PORT to a free port") from error
    return f"{host}:{port}"


def supervise(command: list[str], kind: str) -> int:
    """Run a command, forward signals to it, and return the exit code of the stage."""
    with subprocess.Popen(command) as child:
        for number in FORWARDED:
            signal.signal(number, lambda received, frame: child.send_signal(received))
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends SIGINT to the child, too
        code = child.wait()
    key = program.parse_arguments(kind).key
    return program.INTERRUPTED if code and interrupted_mark(kind, key).exists() else code
