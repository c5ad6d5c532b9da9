"""A program that pretrains `byol` in the folder it is in, and kills that by SIGKILL at random moments, again and again.

Each attempt is a fork of this process, which has imported all and computed nothing: so a kill comes soon after a start.
What it prints is the numbers of the checkpoints that attempts went on from.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
import torch._dynamo  # the first optimizer of a process does, which takes two seconds

from stages.pretrain import pretrain
from whole_in_parts import checkpoints
from whole_in_parts.config.study import load_study
from whole_in_parts.results import atomic_output_dir

CHECKPOINTS = Path("scratch/pretrain/byol")


def attempt() -> None:
    torch.set_num_threads(1)
    checkpoints.INTERVAL_SECONDS = 0.05
    checkpoints.SAVE_TIMES = 0
    with atomic_output_dir("pretrain", "byol") as directory:
        pretrain(load_study(), "byol", directory)


def main(kills: int, least: float, most: float) -> None:
    dice = random.Random(0)
    for number in range(kills + 1):
        if not (child := os.fork()):
            attempt()
            os._exit(0)
        if number < kills:
            time.sleep(dice.uniform(least, most))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        print("killed" if os.WIFSIGNALED(status) else f"ended {os.waitstatus_to_exitcode(status)}", flush=True)
        print("checkpoints", *sorted(file.stem for file in CHECKPOINTS.glob("*.pt")), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), *map(float, sys.argv[2:]))
