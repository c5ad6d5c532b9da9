"""Images a second of each corruption on one core, beside the median of all."""

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
MOST = 10
"""How many times the median's time a corruption may take."""


class Line(NamedTuple):
    """A corruption, its images a second, and how many times the time of the median one it takes."""

    name: str
    rate: float
    ratio: float


def lines() -> list[Line]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    images_BCHW = photographs()
    rates = {name: statistics.median(rate(name, images_BCHW) for _ in range(REPEATS)) for name in CORRUPTIONS}
    torch.set_num_threads(threads)
    median = statistics.median(rates.values())
    return [Line(name, found, median / found) for name, found in sorted(rates.items(), key=lambda pair: pair[1])]


def rate(name: str, images_BCHW: torch.Tensor) -> float:
    numbers = np.arange(len(images_BCHW))
    corrupt(name, images_BCHW[:1], SEVERITY, numbers[:1])
    started = time.perf_counter()
    corrupt(name, images_BCHW, SEVERITY, numbers)
    return len(images_BCHW) / (time.perf_counter() - started)


def photographs() -> torch.Tensor:
    """Crops (B, 3, 32, 32) of a real photograph, in [0, 1]."""
    photograph_CHW = torch.from_numpy(load_sample_images().images[0].copy()).permute(2, 0, 1).float() / 255
    patches_CYXHW = photograph_CHW.unfold(1, SIZE, SIZE // 2).unfold(2, SIZE, SIZE // 2)
    return patches_CYXHW.permute(1, 2, 0, 3, 4).flatten(0, 1)[:COUNT].contiguous()


def table() -> None:
    print(f"\n| corruption, {SIZE} px, severity {SEVERITY}, one core | images/s | × the median's time | aim |")
    print("|---|---:|---:|---:|")
    for line in lines():
        print(f"| {line.name} | {line.rate:,.0f} | {line.ratio:.2f} | ≤ {MOST} |", flush=True)
