"""Classify corrupted test images of a run: `results/corrupt/<run>/`.

Top-1 of backbone and linear probe in `metrics.json`, in per cent: clean, at each severity of each corruption, as each
corruption's mean over its severities (CO-SSL, section 4.2 and appendix; `evaluation/corruptions/` has the constants),
and as `mean`, the mean over the corruptions. `mean_error` is what is missing to 100. `mce` is the mean over the
corruptions of the error as a share of AlexNet's (Hendrycks and Dietterich, 2019), only where that was measured: with
the 1,000 classes of ImageNet and images of at least 224 pixels. It compares to others' if all fifteen corruptions are
asked for.

Images are corrupted here, or read where `corrupt.folder` says so. Of these, too, only a subset is taken; the clean
images are always the dataset's. `predictions.parquet` has a row for each image, corruption and severity (0 if clean).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.config.evaluations import Corrupt
from whole_in_parts.config.study import Study
from whole_in_parts.data.shards import Images
from whole_in_parts.distributed.environment import default_device
from whole_in_parts.evaluation.corruption import SEVERITIES, released_as
from whole_in_parts.evaluation.corruption import corrupt as apply
from whole_in_parts.evaluation.corruptions._released import released
from whole_in_parts.evaluation.features import batches
from whole_in_parts.evaluation.probed_backbone import EvalInputs, ProbedBackbone, eval_inputs, stratified_subset
from whole_in_parts.metrics import write_metrics
from workflow import program

CLEAN = ("clean", 0)
IMAGENET_CLASSES = 1000
ALEXNET_ERRORS = {
    "gaussian_noise": 88.6428,
    "shot_noise": 89.4468,
    "impulse_noise": 92.2640,
    "defocus_blur": 81.9880,
    "glass_blur": 82.6268,
    "motion_blur": 78.5948,
    "zoom_blur": 79.8360,
    "snow": 86.6816,
    "frost": 82.6572,
    "fog": 81.9324,
    "brightness": 56.4592,
    "contrast": 85.3204,
    "elastic_transform": 64.6056,
    "pixelate": 71.7840,
    "jpeg_compression": 60.6500,
}
"""Top-1 errors of AlexNet on ImageNet-C in per cent, means over the severities (hendrycks/robustness, AugMix)."""


class Task(NamedTuple):
    """Images of one corruption at one severity: `generated` here from clean ones, or as they come."""

    name: str
    severity: int
    images: Images
    indices: NDArray[np.int64]
    generated: bool

    @property
    def labels(self) -> NDArray[np.int64]:
        return self.images.shards.labels[self.indices]


def corrupt(study: Study, run: str, directory: Path) -> None:
    device, options = default_device(), study.corrupt
    given = eval_inputs(study, run, options.subset, device)
    found, tables = {}, []
    for task in tasks(given, options):
        predicted_N = predictions(given.model, task, device)
        found[task.name, task.severity] = top1(predicted_N, task.labels)
        tables.append(rows(task, predicted_N))
    metrics = summary(found, options.corruptions, comparable(given.images.shards.classes, given.images.size))
    write_metrics(directory, metrics | {"samples": len(tables[-1])})
    pq.write_table(pa.concat_tables(tables).unify_dictionaries(), directory / "predictions.parquet")


def tasks(given: EvalInputs, options: Corrupt) -> Iterator[Task]:
    """What is to be classified, in the order of the study; a released set is looked through before anything else.

    Raises:
        Failure: the folder lacks something, or the subset is of no class of its images or of one alone.
    """
    size, channels, clean = given.images.size, given.images.channels, given.images.shards
    asked = [(name, severity) for name in options.corruptions for severity in SEVERITIES]
    read = {one: released(Path(options.folder), *one, clean) for one in asked} if options.folder else {}
    some = {one: stratified_subset(found, options.subset) for one, found in read.items()}
    yield Task(*CLEAN, given.images, given.indices, False)
    for one in asked:
        if read:
            yield Task(*one, Images(read[one], size, channels), some[one], False)
        else:
            yield Task(*one, given.images, given.indices, True)


@torch.inference_mode()
def predictions(model: ProbedBackbone, task: Task, device: torch.device) -> Tensor:
    """The class (N,) that the model says for each image."""
    predicted = []
    for indices, images_BCHW in batches(task.images, task.indices, device, f"{task.name} {task.severity}"):
        if task.generated:
            images_BCHW = apply(task.name, images_BCHW, task.severity, indices)
        predicted.append(model(images_BCHW).argmax(1).cpu())
    return torch.cat(predicted)


def top1(predicted_N: Tensor, labels_N: NDArray[np.int64]) -> float:
    """Accuracy in per cent."""
    return round(100 * float((predicted_N.numpy() == labels_N).mean()), 4)


def comparable(classes: list[str], size: int) -> bool:
    """Whether AlexNet's errors are of the same images: ImageNet's classes, at the constants of ImageNet-C."""
    return len(classes) == IMAGENET_CLASSES and released_as(size) == "ImageNet-C"


def summary(found: Mapping[tuple[str, int], float], names: list[str], with_mce: bool) -> dict[str, float]:
    """The accuracies and their means."""
    means = {name: float(np.mean([found[name, severity] for severity in SEVERITIES])) for name in names}
    metrics = {"clean": found[CLEAN]}
    for name in names:
        metrics |= {f"{name}_{severity}": found[name, severity] for severity in SEVERITIES} | {name: means[name]}
    if names:
        mean = float(np.mean(list(means.values())))
        metrics |= {"mean": mean, "mean_error": 100 - mean}
    if names and with_mce:
        metrics["mce"] = float(np.mean([100 * (100 - mean) / ALEXNET_ERRORS[name] for name, mean in means.items()]))
    return {name: round(value, 4) for name, value in metrics.items()}


def rows(task: Task, predicted_N: Tensor) -> pa.Table:
    """The predictions of one corruption at one severity."""
    count = len(predicted_N)
    columns = {
        "key": pa.array([task.images.shards.keys[number] for number in task.indices]),
        "label": pa.array(task.labels),
        "corruption": pa.array([task.name] * count).dictionary_encode(),
        "severity": pa.array(np.full(count, task.severity, np.int8)),
        "predicted": pa.array(predicted_N.numpy()),
    }
    return pa.table(columns)


if __name__ == "__main__":
    program.run(corrupt)
