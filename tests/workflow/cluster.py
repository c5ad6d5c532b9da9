"""A real Slurm of two nodes on one machine: Debian's packages, with the configuration in its usual place.

The nodes have more cores and memory than the machine, and GPUs that are plain files, so that jobs ask for what the
profile says. Nothing looks at what they use.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from tests.debian import need, skip

PLACE = Path("/etc/slurm")
SIGN = "# Written by a test, which removes it."
NODES = ("one", "two")
GPUS = 4
CONFIGURATION = """{sign}
ClusterName=test
SlurmctldHost=localhost
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
MinJobAge=86400
ReturnToService=2
KillWait=10
MailProg=/bin/true
GresTypes=gpu
NodeName=one NodeHostname=localhost Port={ports[1]} CPUs=16 RealMemory=200000 Gres=gpu:{gpus}
NodeName=two NodeHostname=localhost Port={ports[2]} CPUs=16 RealMemory=200000 Gres=gpu:{gpus}
PartitionName=main Nodes=one,two Default=YES MaxTime=INFINITE State=UP
"""


@contextmanager
def cluster(folder: Path) -> Iterator[None]:
    """Slurm, from its start to its end; what it writes is in the folder, and nothing of it stays elsewhere."""
    need(slurmctld="slurm-wlm", slurmd="slurm-wlm", squeue="slurm-wlm", munged="munge")
    files = {PLACE / "slurm.conf": configuration(folder), PLACE / "gres.conf": gpus(folder)}
    for file in files:
        if file.exists() and not file.read_text().startswith(SIGN):
            skip(f"there is a {file} already, which belongs to another Slurm")
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    (folder / "state").mkdir()
    with ExitStack() as stack:
        for file, text in files.items():
            file.write_text(text)
            stack.callback(file.unlink)
        start(folder, stack)
        yield


def configuration(folder: Path) -> str:
    return CONFIGURATION.format(sign=SIGN, folder=folder, ports=[free_port() for _ in range(3)], gpus=GPUS)


def gpus(folder: Path) -> str:
    """What `gres.conf` says of GPUs: Slurm counts files, whatever they are."""
    for number in range(GPUS):
        (folder / f"gpu{number}").touch()
    return f"{SIGN}\nNodeName={','.join(NODES)} Name=gpu File={folder}/gpu[0-{GPUS - 1}]\n"


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(folder: Path, stack: ExitStack) -> None:
    """Start the daemons, and end them, each by itself, when the stack is closed."""
    files = {f"--{name}-file": folder / f"munge.{name}" for name in ("key", "pid", "seed", "log")}
    munge = ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket"]
    daemon([*munge, *(f"{option}={file}" for option, file in files.items())], folder, stack)
    wait_for((folder / "munge.socket").exists, "munged")
    daemon(["slurmctld", "-D"], folder, stack)
    for node in NODES:
        daemon(["slurmd", "-D", "-N", node], folder, stack)
    stack.callback(end_jobs)
    wait_for(lambda: said("sinfo", "--noheader", "--Node", "--format=%T").split() == ["idle"] * len(NODES), "Slurm")


def end_jobs() -> None:
    """End what runs: its processes would outlive the daemons."""
    said("scancel", "--user=root", "--full")
    wait_for(lambda: not said("squeue", "--noheader"), "no jobs left")


def daemon(command: list[str], folder: Path, stack: ExitStack) -> None:
    program = shutil.which(command[0], path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    name = command[-1] if command[0] == "slurmd" else command[0]
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen([str(program), *command[1:]], stdout=log, stderr=log, cwd=folder)
    stack.callback(process.wait)
    stack.callback(process.terminate)


def said(*command: str) -> str:
    """What a command of Slurm prints; nothing if it fails."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not so after {seconds} seconds"
        time.sleep(0.05)
