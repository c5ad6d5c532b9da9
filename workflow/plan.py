"""What a study will cost, before it is paid for: each run's steps, FLOPs, hours and memory. `make plan`

FLOPs and memory are counted on a few images, by a real step of the run's method. Hours are those of the hardware at
hand, by that step's measured rate, or of a GPU that is named, at a share of the rate that its data sheet gives.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from whole_in_parts.augment.views import make_batch
from whole_in_parts.config.runs import Run
from whole_in_parts.config.study import PARAMS, Study, load_study
from whole_in_parts.data.sample_order import steps_per_epoch
from whole_in_parts.distributed.environment import default_device
from whole_in_parts.failure import Failure
from whole_in_parts.methods.base import Method
from whole_in_parts.schedules import Clock
from whole_in_parts.training import optimizers
from whole_in_parts.training.building import build
from whole_in_parts.training.step_cost import flops, saved_bytes

SAMPLE = 8
"""Images that FLOPs and memory are counted on."""

TIMED_FLOPS = {"cpu": 5e10, "cuda": 1e13}
"""About how much a step has that is timed: enough for the rate to be that of a long run."""

TERAFLOPS = {  # dense, as the data sheets of NVIDIA have it: single precision by TF32, and bfloat16
    "a100": {"float32": 156, "bfloat16": 312},
    "l40s": {"float32": 183, "bfloat16": 362},
    "h100": {"float32": 494, "bfloat16": 989},
    "h200": {"float32": 494, "bfloat16": 989},
}
SHARE = 0.3
STATES = {"sgd": 1, "lars": 1, "adamw": 2}
"""The tensors that an optimizer keeps for each parameter."""


class Cost(NamedTuple):
    """Of a step: FLOPs, seconds on the hardware, and the bytes that are held at once."""

    flops: float
    seconds: float
    held: float


def main() -> None:
    """Print the plan of a study.

    Raises:
        SystemExit: the study is not right, or the hardware is not known.
    """
    parser = argparse.ArgumentParser("python -m workflow.plan", description=__doc__)
    parser.add_argument("study", nargs="?", type=Path, default=PARAMS, help="params.yaml, or another study")
    parser.add_argument("--hardware", default="here", help=f"here, or one of: {', '.join(TERAFLOPS)}")
    parser.add_argument("--share", type=float, default=SHARE, help="of a named GPU's rate that is reached")
    parser.add_argument("--gpus", type=int, default=1, help="how many share each run")
    parser.add_argument("--price", type=float, help="of an hour of one, in whatever currency")
    options = parser.parse_args()
    try:
        show(load_study(options.study), options)
    except (Failure, ValueError) as error:
        sys.exit(f"workflow.plan: error: {error}")


def show(plan: Study, options: argparse.Namespace) -> None:
    if options.hardware != "here" and options.hardware not in TERAFLOPS:
        raise ValueError(f"--hardware: {options.hardware} is not known; there are: here, {', '.join(TERAFLOPS)}")
    where = str(default_device()) if options.hardware == "here" else options.hardware
    print(f"| run | steps | FLOPs | hours, {options.gpus} × {where} | memory of each, GiB |\n|---|---:|---:|---:|---:|")
    known: dict[str, Cost] = {}
    total = Cost(0.0, 0.0, 0.0)
    for name, run in plan.runs.items():
        steps = run.epochs * steps_per_epoch(plan.datasets[run.dataset].expect.train, run.batch_size)
        cost = known.setdefault(alike(run), cost_of(run, options)) if steps else Cost(0.0, 0.0, 0.0)
        print(line(name, steps, cost, options.gpus), flush=True)
        total = Cost(total.flops + steps * cost.flops, total.seconds + steps * cost.seconds, max(total.held, cost.held))
    hours = total.seconds / 3600
    print(f"| all | | {total.flops:.2g} | {hours / options.gpus:,.2f} | {total.held / options.gpus / 2**30:.2f} |")
    how = "measured here" if options.hardware == "here" else f"at {options.share:.0%} of the data sheet's rate"
    price = f"; {hours * options.price:,.2f} in all" if options.price else ""
    print(f"\nHours are of pretraining, {how}, as if {options.gpus} were as fast as {options.gpus} alone{price}.")


def line(name: str, steps: int, cost: Cost, gpus: int) -> str:
    hours, held = steps * cost.seconds / 3600 / gpus, cost.held / gpus / 2**30
    return f"| {name} | {steps:,} | {steps * cost.flops:.2g} | {hours:,.2f} | {held:.2f} |"


def alike(run: Run) -> str:
    """What a step costs depends on this much of a run."""
    return run.model_dump_json(exclude={"seed", "epochs", "dataset", "online"})


def cost_of(run: Run, options: argparse.Namespace) -> Cost:
    """The cost of a step of a run, by counting on a few images."""
    here = default_device()
    method = build(run, classes=1000).to(here).train()
    few = min(SAMPLE, run.batch_size)
    step = step_of(method, run, few, here)
    counted = flops(step) / few * run.batch_size
    trained = sum(each.numel() for each in method.parameters() if each.requires_grad)
    kept = sum(tensor.numel() * tensor.element_size() for tensor in method.state_dict().values())
    held = kept + 4 * trained * (1 + STATES[run.optimizer.name]) + saved_bytes(step) / few * run.batch_size
    if options.hardware != "here":
        rate = TERAFLOPS[options.hardware][run.precision] * 1e12 * options.share
        return Cost(counted, counted / rate, held)
    many = round(min(run.batch_size, max(few, TIMED_FLOPS[here.type] / (counted / run.batch_size))))
    return Cost(counted, seconds(step_of(method, run, many, here)) * run.batch_size / many, held)


def step_of(method: Method, run: Run, images: int, here: torch.device) -> Callable[[], None]:
    """A step of a method on so many images, views and all."""
    crops, numbers = method.crops(run.views, run.image_size), np.arange(images)
    shape = (images, run.backbone.channels, run.image_size, run.image_size)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, device=here)
    optimizer, clock = optimizers.build_optimizer(run.optimizer, method), Clock(50, 100, 10)

    def step() -> None:
        batch = make_batch(pixels, torch.zeros(images, dtype=torch.long, device=here), crops, numbers, 0, 0)
        method.prepare(clock)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(here.type, torch.bfloat16, enabled=run.precision == "bfloat16"):
            losses = method(batch)
        method.backward(losses)
        optimizer.step()
        method.update(clock)
        if here.type == "cuda":
            torch.cuda.synchronize(here)

    return step


def seconds(step: Callable[[], None]) -> float:
    """The best of a few steps, after one to warm up."""
    step()
    best = math.inf
    for _ in range(3):
        started = time.perf_counter()
        step()
        best = min(best, time.perf_counter() - started)
    return best


if __name__ == "__main__":
    main()
