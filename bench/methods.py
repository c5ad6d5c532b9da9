"""Time a step of every method on ready views: against lightly's loss in a plain loop, and with CO against without.

Memory is that of the tensors saved for the backward pass, each counted once.
"""

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from bench.lightly_methods import PLAIN
from bench.pairs import compare, take_step
from whole_in_parts.augment.views import Batch
from whole_in_parts.config.runs import Run
from whole_in_parts.config.study import load_study
from whole_in_parts.methods.base import Method
from whole_in_parts.schedules import Clock
from whole_in_parts.training.building import build
from whole_in_parts.training.step_cost import flops, saved_bytes

STUDY = Path("workflow/studies/methods.yaml")
STEPS = 10
LIMIT = 1.1
"""The most time that a step should take, in multiples of lightly's."""


class Line(NamedTuple):
    """Milliseconds and MiB of a method's step and of its comparison, and the ratio of the times."""

    name: str
    milliseconds: float
    mebibytes: float
    other_milliseconds: float
    other_mebibytes: float
    ratio: float


def against_lightly() -> list[Line]:
    """Compare all methods that lightly has."""
    runs = load_study(STUDY).runs
    lines = []
    for name, plain in PLAIN.items():
        method = build(runs[name], 10).train()
        batch = views(runs[name])
        theirs = plain(copy.deepcopy(method.backbone).requires_grad_(True), method.backbone.features)
        lines.append(line(name, ours(method, batch), partial(theirs.step, *batch.views)))
    return lines


def with_co() -> list[tuple[Line, float]]:
    """Compare all methods with and without CO, with the ratio of their FLOPs."""
    runs = load_study(STUDY).runs
    lines = []
    for name, run in runs.items():
        if run.modifier.name == "co":
            batch = views(run)
            base = runs[name.removeprefix("co_")]
            with_local = build(run, 10).train()
            without = build(base, 10).train()
            flops_ratio = flops(ours(with_local, batch)) / flops(ours(without, batch))
            lines.append((line(name, ours(with_local, batch), ours(without, batch)), flops_ratio))
    return lines


def views(run: Run) -> Batch:
    """Make two random views of a batch."""
    torch.manual_seed(0)
    shape = (run.batch_size, run.backbone.channels, run.image_size, run.image_size)
    return Batch([torch.rand(shape) for _ in range(2)], [], [], torch.zeros(run.batch_size, dtype=torch.long))


def ours(method: Method, batch: Batch) -> Callable[[], None]:
    """Return a function that takes a step as the training loop does."""
    optimizer = torch.optim.SGD([p for p in method.parameters() if p.requires_grad], 0.05, momentum=0.9)
    clock = Clock(50, 100, 10)

    def step() -> None:
        method.prepare(clock)
        take_step(optimizer, method, batch)
        method.update(clock)

    return step


def line(name: str, step: Callable[[], None], other: Callable[[], None]) -> Line:
    """Compare two steps by time and memory."""

    def steps(step: Callable[[], None]) -> Callable[[], int]:
        def work() -> int:
            for _ in range(STEPS):
                step()
            return STEPS

        return work

    row = compare(name, steps(step), steps(other), aim=1 / LIMIT, unit="steps/s")
    return Line(
        name, 1000 / row.ours, saved_bytes(step) / 2**20, 1000 / row.other, saved_bytes(other) / 2**20, 1 / row.ratio
    )


def table() -> None:
    """Print both comparisons."""
    print("\n| a step of | ours, ms | lightly, ms | ratio | ours, MiB | lightly, MiB | aim |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for comparison in against_lightly():
        print(
            f"| {cells(comparison)} | ≤ {LIMIT} |",
            flush=True,
        )

    print("\n| a step of | ms | its base, ms | time | MiB | its base, MiB | FLOPs |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for comparison, flops_ratio in with_co():
        print(
            f"| {cells(comparison)} | {flops_ratio:.2f} |",
            flush=True,
        )


def cells(comparison: Line) -> str:
    """Format the name, the times and their ratio, and the memory."""
    times = f"{comparison.milliseconds:.1f} | {comparison.other_milliseconds:.1f}"
    memory = f"{comparison.mebibytes:.1f} | {comparison.other_mebibytes:.1f}"
    return f"{comparison.name} | {times} | {comparison.ratio:.2f} | {memory}"
