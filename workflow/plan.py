"""Estimate the cost of a study: steps, FLOPs, hours and memory of every run. `make plan`

FLOPs and memory are counted in a step of the run's method on a few images that computes shapes alone. Hours follow from
the measured rate of a real step on this machine, or from a fraction of the data sheet's rate of a named GPU.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from whole_in_parts.augment.views import Batch, make_batch
from whole_in_parts.config.runs import Run
from whole_in_parts.config.study import PARAMS, Study, load_study
from whole_in_parts.data.sample_order import steps_per_epoch
from whole_in_parts.distributed.environment import default_device
from whole_in_parts.failure import Failure
from whole_in_parts.methods.base import Method
from whole_in_parts.models.precision import autocast
from whole_in_parts.schedules import Clock
from whole_in_parts.training import optimizers
from whole_in_parts.training.building import build
from whole_in_parts.training.step_cost import fake_, flops, saved_bytes

CPU = torch.device("cpu")
CLOCK = Clock(50, 100, 10)
"""The middle of a training."""

SAMPLE = 8
"""The number of images on which FLOPs and memory are counted."""

TIMED_FLOPS = {"cpu": 5e10, "cuda": 1e13}
"""The approximate FLOPs of a timed step: enough to reach the rate of a long run."""

TERAFLOPS: dict[str, dict[str, float]] = {  # dense, by NVIDIA's data sheets; single precision without TF32
    "a100": {"float32": 19.5, "bfloat16": 312},
    "l40s": {"float32": 91.6, "bfloat16": 362},
    "h100": {"float32": 67, "bfloat16": 989},
    "h200": {"float32": 67, "bfloat16": 989},
}
SHARE = 0.09
"""The default fraction of a data sheet's rate that a run reaches: BYOL of a ResNet-50 at 224 px, in bfloat16 on an H100
(docs/evidence/accelerator/README.md)."""

STATES = {"sgd": 1, "lars": 1, "adamw": 2}
"""The number of state tensors per parameter, by optimizer."""


class Cost(NamedTuple):
    """The cost of a step: FLOPs, seconds on the hardware, and bytes of memory."""

    flops: float
    seconds: float
    memory: float


def main() -> None:
    """Print the plan of a study.

    Raises:
        SystemExit: the study is not valid, or the hardware is unknown.
    """
    parser = argparse.ArgumentParser("python -m workflow.plan", description=__doc__)
    parser.add_argument("study", nargs="?", type=Path, default=PARAMS, help="params.yaml, or another study")
    parser.add_argument("--hardware", default="here", help=f"here, or one of: {', '.join(TERAFLOPS)}")
    parser.add_argument("--share", type=float, default=SHARE, help="the fraction of a named GPU's rate that is reached")
    parser.add_argument("--gpus", type=int, default=1, help="the number of GPUs per run")
    parser.add_argument(
        "--images",
        nargs="*",
        type=named_count,
        default=[],
        metavar="DATASET=N",
        help="the images of the split of datasets whose `expect` is left out",
    )
    parser.add_argument("--price", type=float, help="the price of a GPU hour, in any currency")
    options = parser.parse_args()

    try:
        show(load_study(options.study), options)
    except (Failure, ValueError) as error:
        sys.exit(f"workflow.plan: error: {error}")


def named_count(text: str) -> tuple[str, int]:
    """Parse NAME=N.

    Raises:
        ValueError: it is something else.
    """
    name, _, count = text.partition("=")
    return name, int(count)


def show(study: Study, options: argparse.Namespace) -> None:
    """Print the table of a study, run by run, and the totals.

    Raises:
        ValueError: the hardware is unknown.
    """
    if options.hardware != "here" and options.hardware not in TERAFLOPS:
        raise ValueError(f"--hardware: {options.hardware} is not known; there are: here, {', '.join(TERAFLOPS)}")
    hardware = str(default_device()) if options.hardware == "here" else options.hardware
    print(
        f"| run | steps | FLOPs | hours, {options.gpus} × {hardware} | memory of each, GiB |\n|---|---:|---:|---:|---:|"
    )

    # Runs whose steps cost the same, such as those of several seeds, share one estimate.
    costs: dict[str, Cost] = {}
    total = Cost(0.0, 0.0, 0.0)
    for name, run in study.runs.items():
        images = dict(options.images).get(run.dataset) or getattr(study.expectations(run.dataset), run.split)
        steps = run.epochs * steps_per_epoch(images, run.batch_size)
        key = cost_key(run)
        if steps and key not in costs:
            costs[key] = cost_of(run, options)
        cost = costs[key] if steps else Cost(0.0, 0.0, 0.0)
        print(line(name, steps, cost, options.gpus), flush=True)
        total = Cost(
            total.flops + steps * cost.flops, total.seconds + steps * cost.seconds, max(total.memory, cost.memory)
        )

    hours = total.seconds / 3600
    print(f"| all | | {total.flops:.2g} | {hours / options.gpus:,.2f} | {total.memory / options.gpus / 2**30:.2f} |")
    source = "measured here" if options.hardware == "here" else f"at {options.share:.0%} of the data sheet's rate"
    price = f"; {hours * options.price:,.2f} in all" if options.price else ""
    print(f"\nHours are of pretraining, {source}, as if {options.gpus} were as fast as {options.gpus} alone{price}.")


def line(name: str, steps: int, cost: Cost, gpus: int) -> str:
    """Format the row of a run."""
    hours = steps * cost.seconds / 3600 / gpus
    memory = cost.memory / gpus / 2**30
    return f"| {name} | {steps:,} | {steps * cost.flops:.2g} | {hours:,.2f} | {memory:.2f} |"


def cost_key(run: Run) -> str:
    """Serialise the options of a run on which the cost of a step depends."""
    return run.model_dump_json(exclude={"seed", "epochs", "dataset", "split", "online"})


def cost_of(run: Run, options: argparse.Namespace) -> Cost:
    """Estimate the cost of a step of a run from a few images."""
    method = build(run, classes=1000).train()
    trained = sum(parameter.numel() for parameter in method.parameters() if parameter.requires_grad)
    state = sum(tensor.numel() * tensor.element_size() for tensor in method.state_dict().values())
    sample = min(SAMPLE, run.batch_size)
    sample_flops, activations = count(method, run, sample)
    step_flops = sample_flops / sample * run.batch_size

    # Memory: the state of the method, gradients and optimizer states in float32, and the saved activations.
    memory = state + 4 * trained * (1 + STATES[run.optimizer.name]) + activations / sample * run.batch_size

    if options.hardware != "here":
        rate = TERAFLOPS[options.hardware][run.precision] * 1e12 * options.share
        return Cost(step_flops, step_flops / rate, memory)

    device = default_device()
    method = build(run, classes=1000).to(device).train()
    timed = round(min(run.batch_size, max(sample, TIMED_FLOPS[device.type] / (step_flops / run.batch_size))))
    return Cost(step_flops, seconds(step_of(method, run, timed, device)) * run.batch_size / timed, memory)


def count(method: Method, run: Run, images: int) -> tuple[int, int]:
    """Count the FLOPs of a training step, augmentation included, and the bytes kept for its backward pass.

    The views are real; the tensors of the method are replaced by fakes.
    """
    made: list[Batch] = []
    view_flops = flops(lambda: made.append(views_of(method, run, images, CPU)))
    # As arrays, boxes and flips keep their values.
    arrays: dict[str, Any] = {name: [x.numpy() for x in getattr(made[0], name)] for name in ("boxes", "flips")}

    with fake_(method) as mode:
        views: list[Tensor] = [mode.from_tensor(view_BCSS) for view_BCSS in made[0].views]
        batch = made[0]._replace(views=views, labels_B=mode.from_tensor(made[0].labels_B), **arrays)
        optimizer = optimizers.build_optimizer(run.optimizer, method)
        step = partial(take_step, method, optimizer, batch, autocast(run.precision, CPU))
        return view_flops + flops(step), saved_bytes(step)


def step_of(method: Method, run: Run, images: int, device: torch.device) -> Callable[[], None]:
    """Return a function that takes a training step on `images` images, augmentation included."""
    optimizer = optimizers.build_optimizer(run.optimizer, method)

    def step() -> None:
        batch = views_of(method, run, images, device)
        take_step(method, optimizer, batch, autocast(run.precision, device))
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return step


def views_of(method: Method, run: Run, images: int, device: torch.device) -> Batch:
    """Make the views of `images` random images."""
    shape = (images, run.backbone.channels, run.image_size, run.image_size)
    pixels_BCHW = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
    labels_B = torch.zeros(images, dtype=torch.long, device=device)
    crops = method.crops(run.views, run.image_size)
    return make_batch(pixels_BCHW, labels_B, crops, np.arange(images), 0, 0)


def take_step(
    method: Method, optimizer: torch.optim.Optimizer, batch: Batch, precision: AbstractContextManager[object]
) -> None:
    """Take a training step in the middle of a training."""
    method.prepare(CLOCK)
    optimizer.zero_grad(set_to_none=True)
    with precision:
        losses = method(batch).losses
    method.backward(losses)
    optimizer.step()
    method.update(CLOCK)


def seconds(step: Callable[[], None]) -> float:
    """Time a step: the fastest of three, after one to warm up."""
    step()
    best = math.inf
    for _ in range(3):
        started = time.perf_counter()
        step()
        best = min(best, time.perf_counter() - started)
    return best


if __name__ == "__main__":
    main()
