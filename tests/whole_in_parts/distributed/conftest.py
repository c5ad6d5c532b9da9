"""Several processes on one machine, as torchrun starts them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def torchrun(root):
    """A function that runs a program by so many processes, and gives what it printed."""

    def go(processes: int, *command: str, cwd: Path = root, fails: bool = False, **environment: str) -> str:
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        ran = subprocess.run(
            [*launcher, *command],
            cwd=cwd,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert (ran.returncode != 0) == fails, ran.stdout
        return ran.stdout

    return go
