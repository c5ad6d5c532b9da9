"""Compare data-parallel training by two processes, with a core each, with one process on one core and on both cores.

The two processes have half of every batch each. The ratio of images per second and core to one process with half of
the batch on one core is the cost of communication. The ratio to one process with the whole batch and two threads is
the gain or loss of a user with two cores. `python -m bench.processes`
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

AIM = 0.9
WARM_UP = 2
"""Steps before the clock starts."""

CPU = torch.device("cpu")


class Setting(NamedTuple):
    """The changes to the run of `methods.yaml`, and the size of half a batch."""

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
    """Print the throughput per core in all three ways, and the medians of the ratios."""
    print("\n| images/s of a core | two processes | one, one core | ratio | one, both cores | ratio | aim |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for key, setting in SETTINGS.items():
        rates = [
            (rate_per_core(key, 2, 1), rate_per_core(key, 1, 1), rate_per_core(key, 1, 2))
            for _ in range(setting.repeats)
        ]
        two, one, both = (statistics.median(column) for column in zip(*rates, strict=True))
        ratios = [statistics.median(rate[0] / rate[other] for rate in rates) for other in (1, 2)]
        cells = f"{two:,.0f} | {one:,.0f} | {ratios[0]:.2f} | {both:,.0f} | {ratios[1]:.2f}"
        print(f"| {setting.name} | {cells} | ≥ {AIM} |", flush=True)


def rate_per_core(key: str, processes: int, threads: int) -> float:
    """Measure images per second and core with the given numbers of processes and threads."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [*launcher, "-m", "bench.processes", key]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    process = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return float(process.stdout) / processes / threads


def measure(setting: Setting) -> None:
    """Train for some steps in every process; rank zero prints the images per second of all processes."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    run = load_study(STUDY).runs["byol"].model_copy(update=setting.changes)
    batch = setting.half * torch.get_num_threads() * int(os.environ.get("WORLD_SIZE", "1"))

    with group(CPU):
        method = build(run, 10).train()
        model = replicate(method, CPU)
        optimizer = optimizers.build_optimizer(run.optimizer, method)
        started = time.perf_counter()
        for step in range(setting.steps + WARM_UP):
            if step == WARM_UP:
                started = time.perf_counter()
            optimizer.zero_grad(set_to_none=True)
            method.backward(model(views(run, batch, step)).losses)
            optimizer.step()
            method.update(Clock(step + 1, setting.steps + WARM_UP, setting.steps))
        rate = batch * setting.steps / (time.perf_counter() - started)
        if rank() == 0:
            print(rate)


def views(run: Run, batch: int, step: int) -> Batch:
    """Make this process's views of a batch of grey images."""
    indices = local_shard(np.arange(batch))
    size = run.image_size
    images = torch.full((len(indices), run.backbone.channels, size, size), 100, dtype=torch.uint8)
    crops = [Crop(view, size) for view in run.views]
    return make_batch(images, torch.zeros(len(indices), dtype=torch.long), crops, indices, run.seed, step)


if __name__ == "__main__":
    measure(SETTINGS[sys.argv[1]]) if len(sys.argv) > 1 else table()
