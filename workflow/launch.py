"""How a stage becomes several processes: by torchrun, as the environment says, never as `params.yaml` does.

- On one machine there are as many processes as GPUs, or `PROCESSES_PER_NODE`.
- In a Slurm job, `srun` starts torchrun on each of its nodes, also on a single one: the signal that Slurm gives before
  the time is over goes to all processes of a step, and in a step of its own a training is with none that it would end.
- Whoever starts torchrun himself, on as many machines as he likes, is not interfered with.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from whole_in_parts.distributed.group import timeout
from whole_in_parts.failure import Failure
from whole_in_parts.results import interrupted_mark
from workflow import program

FORWARDED = (signal.SIGTERM, signal.SIGUSR1)
PORTS = range(20000, 40000)
"""Where nodes meet: one of these, by the number of the job, unless `MASTER_PORT` names another."""


def distribute() -> None:
    """Start this very program as several processes and end as they end, if there are to be several."""
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
    """What starts the processes, or nothing if this process is all there is or one that was started so."""
    if "RANK" in environment:
        return []
    nodes, each = nodes_of_job(environment), int(environment.get("PROCESSES_PER_NODE", str(max(gpus, 1))))
    job = environment.get("SLURM_JOB_ID") if nodes > 1 or shutil.which("srun") else None
    if nodes * each == 1 and not job:
        return []
    torchrun = [
        shutil.which("torchrun") or "torchrun",
        f"--nnodes={nodes}",
        f"--nproc-per-node={each}",
        f"--signals-to-handle=SIGINT,{','.join(each.name for each in FORWARDED)}",
    ]
    # A step would have one core a task, if it were not told to leave its processes all cores of the job; it shares what
    # a step has that it may be started in.
    step = ["srun", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", "--cpu-bind=none", "--overlap"]
    meeting = ["--standalone"] if nodes == 1 else rendezvous(environment)
    return [*(step if job else []), *torchrun, *meeting]


def nodes_of_job(environment: Mapping[str, str]) -> int:
    """How many nodes the Slurm job has, or 1 where there is none.

    Snakemake's jobs lose all of Slurm's variables but the number of the job, so Slurm is asked.

    Raises:
        Failure: Slurm does not answer, or does not know the job.
    """
    job = environment.get("SLURM_JOB_ID")
    if "SLURM_JOB_NUM_NODES" in environment or not job:
        return int(environment.get("SLURM_JOB_NUM_NODES", "1"))
    asked = subprocess.run(["squeue", "--noheader", f"--jobs={job}", "--format=%D"], capture_output=True, text=True)
    if asked.returncode or not asked.stdout.strip():
        raise Failure(f"Slurm does not say how many nodes job {job} has: {asked.stderr.strip()}")
    return int(asked.stdout)


def rendezvous(environment: Mapping[str, str]) -> list[str]:
    """How the nodes of a Slurm job find each other, for torchrun."""
    return [
        "--rdzv-backend=c10d",
        f"--rdzv-endpoint={endpoint(environment)}",
        f"--rdzv-id={environment['SLURM_JOB_ID']}",
        f"--rdzv-conf=join_timeout={round(timeout().total_seconds())}",
    ]


def endpoint(environment: Mapping[str, str]) -> str:
    """Where the nodes of a Slurm job meet: on this one, which is the first.

    Raises:
        Failure: the port is in use.
    """
    default = PORTS[int(environment["SLURM_JOB_ID"]) % len(PORTS)]
    port, host = int(environment.get("MASTER_PORT", default)), environment.get("MASTER_ADDR", socket.gethostname())
    with socket.socket() as test:
        test.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of a job before may linger
        try:
            test.bind(("", port))
        except OSError as error:
            raise Failure(f"port {port}, where the nodes are to meet, is in use; set MASTER_PORT to another") from error
    return f"{host}:{port}"


def supervise(command: list[str], kind: str) -> int:
    """Run a command to its end, let it have the signals that come, and give the exit code of the stage."""
    with subprocess.Popen(command) as child:
        for number in FORWARDED:
            signal.signal(number, lambda received, frame: child.send_signal(received))
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the child, too
        code = child.wait()
    key = program.asked_key(kind)
    return program.INTERRUPTED if code and interrupted_mark(kind, key).exists() else code
