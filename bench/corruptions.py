"""Measure the rate of every corruption on one core, relative to their median."""

import statistics
import time
from typing import NamedTuple

import numpy as np
import torch
from sklearn.datasets import load_sample_images

from whole_in_parts.config.evaluations import CORRUPTIONS
from whole_in_parts.evaluation.corruption import corrupt

SIZE, COUNT, SEVERITY = 32, 500, 3
REPEATS = 5
LIMIT = 10
"""The most time that a corruption should take, in multiples of the median."""


class Line(NamedTuple):
    """A corruption, its images per second, and its time in multiples of the median."""

    name: str
    rate: float
    ratio: float


def lines() -> list[Line]:
    """Measure all corruptions, slowest first."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    images_BCHW = photographs()
    rates = {name: statistics.median(measure_rate(name, images_BCHW) for _ in range(REPEATS)) for name in CORRUPTIONS}
    torch.set_num_threads(threads)
    median = statistics.median(rates.values())
    return [Line(name, rate, median / rate) for name, rate in sorted(rates.items(), key=lambda pair: pair[1])]


def measure_rate(name: str, images_BCHW: torch.Tensor) -> float:
    """Measure images per second, after a warm-up on one image."""
    indices = np.arange(len(images_BCHW))
    corrupt(name, images_BCHW[:1], SEVERITY, indices[:1])
    started = time.perf_counter()
    corrupt(name, images_BCHW, SEVERITY, indices)
    return len(images_BCHW) / (time.perf_counter() - started)


def photographs() -> torch.Tensor:
    """Cut crops (B, 3, 32, 32) from a photograph, in [0, 1]."""
    photograph_CHW = torch.from_numpy(load_sample_images().images[0].copy()).permute(2, 0, 1).float() / 255
    patches_CYXHW = photograph_CHW.unfold(1, SIZE, SIZE // 2).unfold(2, SIZE, SIZE // 2)
    return patches_CYXHW.permute(1, 2, 0, 3, 4).flatten(0, 1)[:COUNT].contiguous()


def table() -> None:
    """Print a row per corruption."""
    print(f"\n| corruption, {SIZE} px, severity {SEVERITY}, one core | images/s | × the median's time | aim |")
    print("|---|---:|---:|---:|")
    for line in lines():
        print(f"| {line.name} | {line.rate:,.0f} | {line.ratio:.2f} | ≤ {LIMIT} |", flush=True)
