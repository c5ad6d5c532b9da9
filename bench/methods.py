"""A step of each method on a batch of views that is there already: against lightly's loss in a plain loop, where it has
the method, and with CO against without it.

Memory is what the backward pass holds: each tensor that is saved for it, once.
"""

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from bench.lightly_methods import PLAIN
from bench.pairs import compare, take
from whole_in_parts.augment.views import Batch
from whole_in_parts.config.runs import Run
from whole_in_parts.config.study import load_study
from whole_in_parts.methods.base import Method
from whole_in_parts.schedules import Clock
from whole_in_parts.training.building import build
from whole_in_parts.training.step_cost import flops, saved_bytes

STUDY = Path("workflow/studies/methods.yaml")
STEPS = 10
MOST = 1.1
"""How many times lightly's time a step may take."""


class Line(NamedTuple):
    """A method's step: milliseconds and MiB, beside those of what it is compared to, and the ratio of the times."""

    name: str
    milliseconds: float
    mebibytes: float
    other_milliseconds: float
    other_mebibytes: float
    ratio: float


def against_lightly() -> list[Line]:
    """Each method that lightly has."""
    runs = load_study(STUDY).runs
    lines = []
    for name, plain in PLAIN.items():
        method, batch = build(runs[name], 10).train(), views(runs[name])
        theirs = plain(copy.deepcopy(method.backbone).requires_grad_(True), method.backbone.features)
        lines.append(line(name, ours(method, batch), partial(theirs.step, *batch.views)))
    return lines


def with_co() -> list[tuple[Line, float]]:
    """Each method with CO against without it, and how many times the FLOPs it takes."""
    runs = load_study(STUDY).runs
    lines = []
    for name, run in runs.items():
        if run.modifier.name == "co":
            batch, base = views(run), runs[name.removeprefix("co_")]
            with_local, without = build(run, 10).train(), build(base, 10).train()
            times = flops(ours(with_local, batch)) / flops(ours(without, batch))
            lines.append((line(name, ours(with_local, batch), ours(without, batch)), times))
    return lines


def views(run: Run) -> Batch:
    torch.manual_seed(0)
    shape = (run.batch_size, run.backbone.channels, run.image_size, run.image_size)
    return Batch([torch.rand(shape) for _ in range(2)], [], [], torch.zeros(run.batch_size, dtype=torch.long))


def ours(method: Method, batch: Batch) -> Callable[[], None]:
    """A step as the training loop takes it."""
    optimizer = torch.optim.SGD([p for p in method.parameters() if p.requires_grad], 0.05, momentum=0.9)
    clock = Clock(50, 100, 10)

    def step() -> None:
        method.prepare(clock)
        take(optimizer, method, batch)
        method.update(clock)

    return step


def line(name: str, step: Callable[[], None], other: Callable[[], None]) -> Line:
    def steps(one: Callable[[], None]) -> Callable[[], int]:
        def work() -> int:
            for _ in range(STEPS):
                one()
            return STEPS

        return work

    row = compare(name, steps(step), steps(other), aim=1 / MOST, unit="steps/s")
    return Line(
        name, 1000 / row.ours, saved_bytes(step) / 2**20, 1000 / row.other, saved_bytes(other) / 2**20, 1 / row.ratio
    )


def table() -> None:
    """Print both comparisons."""
    print("\n| a step of | ours, ms | lightly, ms | ratio | ours, MiB | lightly, MiB | aim |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for each in against_lightly():
        print(f"| {words(each)} | {each.mebibytes:.1f} | {each.other_mebibytes:.1f} | ≤ {MOST} |", flush=True)
    print("\n| a step of | ms | its base, ms | time | MiB | its base, MiB | FLOPs |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for each, times in with_co():
        print(f"| {words(each)} | {each.mebibytes:.1f} | {each.other_mebibytes:.1f} | {times:.2f} |", flush=True)


def words(each: Line) -> str:
    return f"{each.name} | {each.milliseconds:.1f} | {each.other_milliseconds:.1f} | {each.ratio:.2f}"
