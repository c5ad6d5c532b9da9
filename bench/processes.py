"""Two processes that train as one, against one of them alone with the same batch each: what the exchange costs.

Each process has one core, and a part of 128 images of a batch, on the backbone of the default study. Of one core the
throughput is that of one process; of two, half of what both do together. `python -m bench.processes`
"""

import os
import statistics
import subprocess
import sys
import time

import numpy as np
import torch

from stages import distributed, study
from stages.distributed.group import group
from stages.distributed.replica import replicate
from stages.images.views import Batch, Crop, make_batch
from stages.methods import Clock
from stages.pretrain import build

PART, STEPS, REPEATS, AIM = 128, 12, 5, 0.9
CPU = torch.device("cpu")


def table() -> None:
    """Print the throughput per core of both, and the median of the ratios."""
    pairs = [(throughput(2) / 2, throughput(1)) for _ in range(REPEATS)]
    together, alone = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(first / second for first, second in pairs)
    print("\n| two processes against one, images/s of a core | together | alone | ratio | aim |")
    print("|---|---:|---:|---:|---:|")
    print(f"| BYOL, {PART} images a process | {together:,.0f} | {alone:,.0f} | {ratio:.2f} | ≥ {AIM} |", flush=True)


def throughput(processes: int) -> float:
    """The images that so many processes see in a second, once they have started."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [*launcher, "-m", "bench.processes", "measure"]
    return float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def measure() -> None:
    """What each process does; the first prints how many images a second all have seen."""
    torch.set_num_threads(1)
    with group(CPU):
        run = study.load().runs["byol"]
        method = build(run, 10).train()
        model = replicate(method, CPU)
        optimizer = torch.optim.SGD([each for each in method.parameters() if each.requires_grad], 0.05, momentum=0.9)
        started = time.perf_counter()
        for step in range(-2, STEPS):
            if step == 0:
                started = time.perf_counter()
            optimizer.zero_grad(set_to_none=True)
            method.backward(model(views(run, step + 2)))
            optimizer.step()
            method.update(Clock(step + 3, STEPS + 2, STEPS))
        rate = distributed.ranks() * PART * STEPS / (time.perf_counter() - started)
        if distributed.rank() == 0:
            print(rate)


def views(run, step: int) -> Batch:
    """This process's views of a batch of random images."""
    own = distributed.own(np.arange(PART * distributed.ranks()))
    size, channels = run.image_size, run.backbone.channels
    images = torch.full((len(own), channels, size, size), 100, dtype=torch.uint8)
    crops = [Crop(view, size) for view in run.views]
    return make_batch(images, torch.zeros(len(own), dtype=torch.long), crops, own, run.seed, step)


if __name__ == "__main__":
    measure() if sys.argv[1:] == ["measure"] else table()
