"""Measure BYOL and CO-BYOL on an accelerator, in bfloat16: a ResNet-50 at 224 px and a ResNet-18 at 32 px.

The table compares a step with one on ready views, with lightly's modules in the loop of its documentation (in single
precision as there, and in bfloat16), and with the rate of a large matrix product; it lists the slowest kernels. A
second table compares BYOL's steps whose forward and backward are replayed as one CUDA graph, and steps with compiled
layers, with plain ones, all on ready views; compilation takes minutes. `python -m bench.accelerator`
"""

import copy
import math
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from bench.lightly_methods import PLAIN
from whole_in_parts.augment.views import Batch, make_batch
from whole_in_parts.config.backbones.resnet import ResNetConfig, Stem
from whole_in_parts.config.runs import Run
from whole_in_parts.config.study import load_study
from whole_in_parts.distributed.environment import default_device
from whole_in_parts.models.precision import autocast
from whole_in_parts.training import optimizers
from whole_in_parts.training.building import build
from whole_in_parts.training.loop import compile_backbones
from whole_in_parts.training.step_cost import flops
from workflow.plan import CLOCK, take_step

STUDY = Path("workflow/studies/methods.yaml")
REPEATS, KERNELS, PRODUCT = 5, 3, 8192
COLUMNS = (
    "images/s",
    "against ready views",
    "against lightly",
    "against lightly in bfloat16",
    "of the product's rate",
    "slowest kernels",
)
COLOUR: dict[str, Any] = {
    "channels": 3,
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "width": 64,
    "name": "resnet",
}
SMALL_STEM, LARGE_STEM = Stem(kernel=3, stride=1, pool=False), Stem(kernel=7, stride=2, pool=True)
STRIDES = [1, 2, 2, 2]


class Setting(NamedTuple):
    """A backbone, the size of its images, its batch size, and the steps of a measurement."""

    name: str
    backbone: ResNetConfig
    image_size: int
    batch_size: int
    steps: int


RESNET_18 = ResNetConfig(**COLOUR, block="basic", blocks=[2] * 4, strides=STRIDES, stem=SMALL_STEM)
RESNET_50 = ResNetConfig(**COLOUR, block="bottleneck", blocks=[3, 4, 6, 3], strides=STRIDES, stem=LARGE_STEM)
SETTINGS = [Setting("ResNet-18, 32 px", RESNET_18, 32, 512, 20), Setting("ResNet-50, 224 px", RESNET_50, 224, 256, 4)]


class Steps:
    """Training steps of a run's method on images that are on the device."""

    def __init__(self, run: Run, device: torch.device) -> None:
        self.run = run
        self.device = device
        self.method = build(run, 10).to(device).train()
        self.crops = self.method.crops(run.views, run.image_size)
        self.indices = np.arange(run.batch_size)
        shape = (run.batch_size, 3, run.image_size, run.image_size)
        self.images = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
        self.optimizer = optimizers.build_optimizer(run.optimizer, self.method)
        self.ready = self.views(0)

    def views(self, step: int) -> Batch:
        """Make the views of a step."""
        labels_B = torch.zeros(self.run.batch_size, dtype=torch.long, device=self.device)
        return make_batch(self.images, labels_B, self.crops, self.indices, 0, step)

    def on_ready_views(self) -> None:
        """Take a step without augmentation."""
        take_step(self.method, self.optimizer, self.ready, autocast("bfloat16", self.device))

    def with_views(self) -> None:
        """Take a step with augmentation."""
        take_step(self.method, self.optimizer, self.views(1), autocast("bfloat16", self.device))


def compiled(ours: Steps) -> Callable[[], object]:
    """Return the same steps on ready views, with compiled layers."""
    steps = Steps(ours.run, ours.device)
    compile_backbones(steps.method)
    return steps.on_ready_views


def as_graph(ours: Steps) -> Callable[[], object]:
    """Return the same steps on ready views, whose forward and backward are one CUDA graph; warmed up before."""
    steps = Steps(ours.run, ours.device)
    stream = torch.cuda.Stream(steps.device)
    with torch.cuda.stream(stream):
        seconds(steps.on_ready_views, steps.device, 3)
    torch.cuda.current_stream(steps.device).wait_stream(stream)

    graph = torch.cuda.CUDAGraph()
    steps.optimizer.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        with autocast("bfloat16", steps.device):
            losses = steps.method(steps.ready).losses
        steps.method.backward(losses)

    def step() -> None:
        steps.method.prepare(CLOCK)
        graph.replay()
        steps.optimizer.step()
        steps.method.update(CLOCK)

    return step


def seconds(step: Callable[[], object], device: torch.device, steps: int) -> float:
    """Measure the seconds per step over `steps` consecutive steps."""
    wait(device)
    started = time.perf_counter()
    for _ in range(steps):
        step()
    wait(device)
    return (time.perf_counter() - started) / steps


def wait(device: torch.device) -> None:
    """Wait for the queued work of a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def ratio(first: Callable[[], object], second: Callable[[], object], device: torch.device, steps: int) -> float:
    """Measure the speed of the first step relative to the second: the median over pairs, after a warm-up."""
    seconds(first, device, 3)
    seconds(second, device, 3)
    return statistics.median(seconds(second, device, steps) / seconds(first, device, steps) for _ in range(REPEATS))


def product_rate(device: torch.device, size: int) -> float:
    """Measure the FLOPs per second of a product of square matrices in bfloat16."""
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    multiply = partial(torch.mm, left, right)
    seconds(multiply, device, 3)
    return 2 * size**3 / seconds(multiply, device, 20)


def kernels(step: Callable[[], object], device: torch.device) -> list[str]:
    """List the slowest kernels of a step, with their fractions of the time."""
    activity = ProfilerActivity.CUDA if device.type == "cuda" else ProfilerActivity.CPU
    with profile(activities=[activity]) as profiler:
        step()
        wait(device)
    own_time = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    times = {event.key: getattr(event, own_time) for event in profiler.key_averages()}
    slowest = sorted(times, key=lambda name: -times[name])[:KERNELS]
    return [f"{name[:60]} {times[name] / sum(times.values()):.0%}" for name in slowest]


def table(setting: Setting, device: torch.device, size: int = PRODUCT) -> None:
    """Print the measurements of BYOL and CO-BYOL in a setting."""
    rate = product_rate(device, size)
    print(f"\n{device}, torch {torch.__version__}: a product reaches {rate / 1e12:.3g} TFLOP/s in bfloat16\n")
    print(f"| {setting.name} | {' | '.join(COLUMNS)} |")
    print("|---" + "|---:" * (len(COLUMNS) - 1) + "|---|")
    for name in ("byol", "co_byol"):
        print(line(name, of_run(name, setting, device), device, setting.steps, rate), flush=True)


def table_of_graphs(setting: Setting, device: torch.device) -> None:
    """Print the speed of BYOL's steps as CUDA graphs, and compiled, relative to plain ones."""
    print("\n| on ready views | CUDA graph | compiled | seconds of compilation |\n|---|---:|---:|---:|")
    ours, steps = of_run("byol", setting, device), setting.steps
    graph = ratio(as_graph(ours), ours.on_ready_views, device, steps) if device.type == "cuda" else math.nan
    print(f"| byol | {graph:.2f} |", end="", flush=True)

    layers = compiled(ours)
    compilation = seconds(layers, device, 1)
    print(f" {ratio(layers, ours.on_ready_views, device, steps):.2f} | {compilation:.0f} |", flush=True)


def of_run(name: str, setting: Setting, device: torch.device) -> Steps:
    """Make the steps of a run of `methods.yaml` in another setting."""
    update = {key: getattr(setting, key) for key in ("backbone", "image_size", "batch_size")}
    return Steps(load_study(STUDY).runs[name].model_copy(update=update), device)


def line(name: str, ours: Steps, device: torch.device, steps: int, rate: float) -> str:
    """Measure a setting and format its row; `rate` is that of the matrix product, in FLOPs per second."""
    step_flops = flops(ours.on_ready_views)
    step_seconds = seconds(ours.with_views, device, steps)

    backbone = copy.deepcopy(ours.method.backbone).requires_grad_(True)
    theirs = PLAIN["byol"](backbone, backbone.features)
    for module in [*theirs.modules, *theirs.targets]:
        module.to(device)
    plain = partial(theirs.step, *ours.ready.views)
    plain_bfloat16 = torch.autocast(device.type, torch.bfloat16)(plain)

    ours_against = partial(ratio, ours.with_views, device=device, steps=steps)
    cells = [
        f"{ours.run.batch_size / step_seconds:,.0f}",
        f"{ours_against(ours.on_ready_views):.2f}",
        f"{ours_against(plain):.2f}",
        f"{ours_against(plain_bfloat16):.2f}",
        f"{step_flops / step_seconds / rate:.2f}",
        "; ".join(kernels(ours.on_ready_views, device)),
    ]
    return f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    if not torch.cuda.is_available():
        raise SystemExit("bench.accelerator: there is no GPU here")
    for setting in SETTINGS:
        table(setting, default_device())
        table_of_graphs(setting, default_device())
