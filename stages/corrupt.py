"""Classify corrupted test images of a run: `results/corrupt/<run>/`.

Writes `metrics.json`: the top-1 of backbone and linear probe, in per cent, on clean images, at each severity of each
corruption, for each corruption as the mean over its severities (CO-SSL, section 4.2 and appendix), and as `mean`, the
mean over the corruptions. `mean_error` is 100 − `mean`. `mce` is the mean over the corruptions of the error relative to
AlexNet's (Hendrycks and Dietterich, 2019). It is written only where AlexNet's errors apply, for the 1,000 classes of
ImageNet and images of at least 224 pixels, and is comparable to published values if the study has all 15 corruptions.

Images are corrupted in this stage, or read from the folder that the dataset names (`corrupted`); a subset of them is
evaluated. The clean images are always the dataset's. `predictions.parquet` has a row for each image, corruption and
severity (0 if clean).
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
from whole_in_parts.evaluation.corruption import SEVERITIES, released_set
from whole_in_parts.evaluation.corruption import corrupt as apply
from whole_in_parts.evaluation.corruptions._released import open_released
from whole_in_parts.evaluation.features import iter_rows
from whole_in_parts.evaluation.probed_backbone import EvalInputs, ProbedBackbone, eval_inputs, stratified_subset
from whole_in_parts.metrics import write_metrics
from workflow import launch

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
"""Top-1 errors of AlexNet on ImageNet-C in per cent, mean over the severities (hendrycks/robustness, AugMix)."""


class CorruptedSubset(NamedTuple):
    """Test images at a corruption and severity; with `generated`, the images are clean and still to be corrupted."""

    name: str
    severity: int
    images: Images
    indices: NDArray[np.int64]
    generated: bool

    @property
    def labels(self) -> NDArray[np.int64]:
        return self.images.shards.labels[self.indices]


def corrupt(study: Study, run: str, directory: Path) -> None:
    device = default_device()
    options = study.corrupt
    inputs = eval_inputs(study, run, options, device, options.precision)
    accuracies: dict[tuple[str, int], float] = {}
    tables = []

    for subset in iter_subsets(inputs, options, study.datasets[study.runs[run].dataset].corrupted):
        predicted_N = predict(inputs.model, subset, device)
        accuracies[subset.name, subset.severity] = top1(predicted_N, subset.labels)
        tables.append(prediction_table(subset, predicted_N))

    with_mce = alexnet_errors_apply(inputs.images.shards.classes, inputs.images.size)
    metrics = summarise(accuracies, options.corruptions, with_mce)
    write_metrics(directory, metrics | {"samples": len(tables[-1])})
    pq.write_table(pa.concat_tables(tables).unify_dictionaries(), directory / "predictions.parquet")


def iter_subsets(inputs: EvalInputs, options: Corrupt, folder: str | None) -> Iterator[CorruptedSubset]:
    """Yield the subsets to classify: the clean images, then each corruption at each severity.

    Args:
        folder: the folder with released corrupted images, which are generated if it is None.

    Raises:
        Failure: the folder is incomplete or broken, or a subset has images of fewer than two classes.
    """
    size = inputs.images.size
    channels = inputs.images.channels
    settings = [(name, severity) for name in options.corruptions for severity in SEVERITIES]

    # Check a released set as a whole before the first prediction.
    released = {}
    if folder:
        released = {setting: open_released(Path(folder), *setting, inputs.images.shards) for setting in settings}
    indices = {setting: stratified_subset(shards, options.subset) for setting, shards in released.items()}

    yield CorruptedSubset(*CLEAN, inputs.images, inputs.indices, False)
    for setting in settings:
        if released:
            images = Images(released[setting], size, channels)
            yield CorruptedSubset(*setting, images, indices[setting], False)
        else:
            yield CorruptedSubset(*setting, inputs.images, inputs.indices, True)


@torch.inference_mode()
def predict(model: ProbedBackbone, subset: CorruptedSubset, device: torch.device) -> Tensor:
    """Predict the class (N,) of each image."""

    def predict_batch(indices: NDArray[np.int64], images_BCHW: Tensor) -> Tensor:
        if subset.generated:
            images_BCHW = apply(subset.name, images_BCHW, subset.severity, indices)
        return model(images_BCHW).argmax(1)

    title = f"{subset.name} {subset.severity}"
    return torch.cat(list(iter_rows(predict_batch, subset.images, subset.indices, device, title)))


def top1(predicted_N: Tensor, labels_N: NDArray[np.int64]) -> float:
    """Compute the accuracy in per cent."""
    return round(100 * float((predicted_N.numpy() == labels_N).mean()), 4)


def alexnet_errors_apply(classes: list[str], size: int) -> bool:
    """Whether AlexNet's errors are for the same images: ImageNet's classes, with the constants of ImageNet-C."""
    return len(classes) == IMAGENET_CLASSES and released_set(size) == "ImageNet-C"


def summarise(accuracies: Mapping[tuple[str, int], float], names: list[str], with_mce: bool) -> dict[str, float]:
    """Collect the accuracies and their means, rounded to four digits, by the names of the metrics."""
    means = {name: float(np.mean([accuracies[name, severity] for severity in SEVERITIES])) for name in names}
    metrics = {"clean": accuracies[CLEAN]}
    for name in names:
        metrics |= {f"{name}_{severity}": accuracies[name, severity] for severity in SEVERITIES} | {name: means[name]}
    if names:
        mean = float(np.mean(list(means.values())))
        metrics |= {"mean": mean, "mean_error": 100 - mean}
    if names and with_mce:
        metrics["mce"] = float(np.mean([100 * (100 - mean) / ALEXNET_ERRORS[name] for name, mean in means.items()]))
    return {name: round(value, 4) for name, value in metrics.items()}


def prediction_table(subset: CorruptedSubset, predicted_N: Tensor) -> pa.Table:
    """Build the table of the predictions for a subset, with a row for each image."""
    count = len(predicted_N)
    columns = {
        "key": pa.array([subset.images.shards.keys[index] for index in subset.indices]),
        "label": pa.array(subset.labels),
        "corruption": pa.array([subset.name] * count).dictionary_encode(),
        "severity": pa.array(np.full(count, subset.severity, np.int8)),
        "predicted": pa.array(predicted_N.numpy()),
    }
    return pa.table(columns)


if __name__ == "__main__":
    launch.run(corrupt)
