"""Classify corrupted test images of a run: `results/corrupt/<run>/metrics.json`.

Top-1 of backbone and linear probe, clean, at each severity of each corruption, and as each corruption's mean over
its severities (CO-SSL, section 4.2 and appendix; `stages/corruptions/` has the constants).
"""

from pathlib import Path

import numpy as np
import torch

from stages import program
from stages.corruptions import SEVERITIES
from stages.corruptions import corrupt as apply
from stages.probing.classifier import top1
from stages.probing.features import batches
from stages.probing.frozen import Subject, subject
from stages.study import Study


def corrupt(study: Study, run: str, directory: Path) -> None:
    device = program.device()
    given = subject(study, run, study.corrupt.subset, device)
    metrics = {"clean": accuracy(given, device, None, 0)}
    for name in study.corrupt.corruptions:
        for severity in SEVERITIES:
            metrics[f"{name}_{severity}"] = accuracy(given, device, name, severity)
        metrics[name] = round(float(np.mean([metrics[f"{name}_{severity}"] for severity in SEVERITIES])), 4)
    program.write_metrics(directory, metrics | {"samples": len(given.numbers)})


@torch.inference_mode()
def accuracy(given: Subject, device: torch.device, name: str | None, severity: int) -> float:
    """Top-1 on the subset under a corruption, or under none."""
    logits = []
    what = f"{name or 'clean'} {severity}"
    for numbers, images_BCHW in batches(given.images, given.numbers, device, what):
        logits.append(given.model(apply(name, images_BCHW, severity, numbers) if name else images_BCHW).cpu())
    return top1(torch.cat(logits), given.labels_N)


if __name__ == "__main__":
    program.run(corrupt, keys="runs")
