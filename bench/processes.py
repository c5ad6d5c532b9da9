"""Two processes that train as one, with a core each: against one process with one core, and against one with both.

Each of the two has half of every batch. Against one process that has such a half and one core, the ratio of what a core
sees in a second is what the exchange costs; against one that has the whole batch and two threads, it is what a user
of two cores gains or loses. `python -m bench.processes`
"""

import os
import statistics
import subprocess
import sys
import time
from typing import Any, NamedTuple

import numpy as np
import torch

from bench.accelerator import RESNET_18, STUDY
from whole_in_parts.augment.views import Batch, Crop, make_batch
from whole_in_parts.config.runs import Run
from whole_in_parts.config.study import load_study
from whole_in_parts.distributed.collectives import local_shard, rank
from whole_in_parts.distributed.group import group
from whole_in_parts.distributed.replica import replicate
from whole_in_parts.schedules import Clock
from whole_in_parts.training import optimizers
from whole_in_parts.training.building import build

AIM, WARM = 0.9, 2
CPU = torch.device("cpu")


class Setting(NamedTuple):
    """What is changed of the run of `methods.yaml`, and half of a batch."""

    name: str
    changes: dict[str, Any]
    half: int
    steps: int
    repeats: int


SETTINGS = {
    "small": Setting("BYOL, ResNet of 0.3 M parameters, batch of 256", {}, 128, 20, 5),
    "large": Setting("BYOL, ResNet-18 for small images, batch of 64", {"backbone": RESNET_18}, 32, 5, 3),
}


def table() -> None:
    """Print the throughput of a core in each way, and the medians of the ratios."""
    print("\n| images/s of a core | two processes | one, one core | ratio | one, both cores | ratio | aim |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for key, setting in SETTINGS.items():
        rates = [(core(key, 2, 1), core(key, 1, 1), core(key, 1, 2)) for _ in range(setting.repeats)]
        two, one, both = (statistics.median(column) for column in zip(*rates, strict=True))
        ratios = [statistics.median(rate[0] / rate[other] for rate in rates) for other in (1, 2)]
        found = f"{two:,.0f} | {one:,.0f} | {ratios[0]:.2f} | {both:,.0f} | {ratios[1]:.2f}"
        print(f"| {setting.name} | {found} | ≥ {AIM} |", flush=True)


def core(key: str, processes: int, threads: int) -> float:
    """The images that a core sees in a second, once so many processes with so many threads have started."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [*launcher, "-m", "bench.processes", key]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    ran = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return float(ran.stdout) / processes / threads


def measure(setting: Setting) -> None:
    """What each process does; the first prints how many images a second all have seen."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    run = load_study(STUDY).runs["byol"].model_copy(update=setting.changes)
    batch = setting.half * torch.get_num_threads() * int(os.environ.get("WORLD_SIZE", "1"))
    with group(CPU):
        method = build(run, 10).train()
        model, optimizer = replicate(method, CPU), optimizers.build_optimizer(run.optimizer, method)
        started = time.perf_counter()
        for step in range(setting.steps + WARM):
            if step == WARM:
                started = time.perf_counter()
            optimizer.zero_grad(set_to_none=True)
            method.backward(model(views(run, batch, step)))
            optimizer.step()
            method.update(Clock(step + 1, setting.steps + WARM, setting.steps))
        rate = batch * setting.steps / (time.perf_counter() - started)
        if rank() == 0:
            print(rate)


def views(run: Run, batch: int, step: int) -> Batch:
    """This process's views of a batch of grey images."""
    own = local_shard(np.arange(batch))
    size = run.image_size
    images = torch.full((len(own), run.backbone.channels, size, size), 100, dtype=torch.uint8)
    crops = [Crop(view, size) for view in run.views]
    return make_batch(images, torch.zeros(len(own), dtype=torch.long), crops, own, run.seed, step)


if __name__ == "__main__":
    measure(SETTINGS[sys.argv[1]]) if len(sys.argv) > 1 else table()
