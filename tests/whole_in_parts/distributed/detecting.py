"""A program for torchrun: train a detector in double precision, evaluate it, and write what rank zero ends with.

A kill is played by the number of steps after which rank zero and all others fail; a second run resumes.
"""

import sys
from pathlib import Path

import torch

from tests.whole_in_parts.models.backbones.examples import SMALL, rf_resnet
from whole_in_parts.config.tasks.detection import DetectionConfig
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.distributed.environment import is_rank_zero
from whole_in_parts.distributed.group import group
from whole_in_parts.evaluation.detection import training
from whole_in_parts.evaluation.task import TaskContext
from whole_in_parts.evaluation.tasks import detection
from whole_in_parts.models.backbone import build_backbone

CPU = torch.device("cpu")
OPTIONS = DetectionConfig(
    name="detection",
    masks=True,
    steps=3,
    batch_size=4,
    warmup_steps=2,
    short_sides=(32, 40, 48),
    test_short_side=40,
    anchors=(8, 16),
    regions=64,
    batches=2,
)


def main(shards: str, folder: str, stop: str) -> None:
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    backbone = build_backbone(rf_resnet("basic", [3, 3], [2, 2], SMALL, width=8)).eval().requires_grad_(False)
    images = Images(Shards(Path(shards)), 32, 3)
    directory = Path(folder) / "result"
    directory.mkdir(parents=True, exist_ok=True)
    if not is_rank_zero():
        directory = directory / "of another process"
        directory.mkdir(exist_ok=True)
    trained, train, forward = [], training.train, training.forward

    def stopping(*arguments):
        if arguments[-1] == int(stop):
            raise KeyboardInterrupt
        return forward(*arguments)

    training.forward = stopping
    training.train = lambda *arguments: trained.append(train(*arguments)) or trained[0]
    with group(CPU):
        context = TaskContext(backbone, images, images, CPU, directory, Path(folder) / "scratch")
        metrics = detection.evaluate(context, OPTIONS)
    if is_rank_zero():
        torch.save({"weights": trained[0].state_dict(), "metrics": metrics}, Path(folder) / "trained.pt")


if __name__ == "__main__":
    main(*sys.argv[1:])
