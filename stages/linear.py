"""Train linear probes of a run: `results/linear/<run>/`.

Writes `metrics.json` (top-1 on the test split, in per cent), the classifiers, and the prediction of every test image.
A probe is trained for each extracted representation and each share of the labels. `top1` is the accuracy of the global
representation with all labels; names such as `top1_patch`, `top1_layer_3`, `top1_labels_1` and `top1_patch_labels_10`
are those of the other probes. With `solver: lbfgs`, `penalty` is the selected weight. The stored classifier is that of
`top1`.

Features are extracted once, from images without augmentation, and rank zero alone trains on them. The papers train
their offline probes on random crops: `linear.crops` does so beside (`evaluation/crops_probe.py`), by all processes. Its
metrics begin with `crops_`, and its classifier of the global representation is stored, too.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

from whole_in_parts.checkpoints import Checkpoints
from whole_in_parts.config.evaluations import Linear, LinearOnCrops
from whole_in_parts.config.study import Study
from whole_in_parts.data.shards import INDEX, Images, Shards
from whole_in_parts.data.variable_size import training_images
from whole_in_parts.distributed.environment import default_device, is_rank_zero
from whole_in_parts.evaluation import crops_probe, features, linear_probe, logistic_probe
from whole_in_parts.evaluation.features import Features
from whole_in_parts.evaluation.metric_names import suffix
from whole_in_parts.evaluation.probed_backbone import CLASSIFIERS
from whole_in_parts.metrics import write_metrics
from whole_in_parts.models import saved_backbone
from whole_in_parts.results import result_dir, scratch_dir
from workflow import launch
from workflow.provenance.inputs import digest


def linear(study: Study, run: str, directory: Path) -> None:
    check_labels(study, run)
    crops_metrics: dict[str, float] = {}
    crops_columns: dict[str, object] = {}
    if study.linear.crops:
        crops_metrics, crops_columns = probe_crops(study, study.linear.crops, run, directory)

    # All processes share the crops; the stored features fit one, and the others would only wait for it.
    if is_rank_zero():
        metrics, columns = probe_features(study.linear, run, directory)
        write_metrics(directory, metrics | crops_metrics)
        pq.write_table(pa.table(columns | crops_columns), directory / "predictions.parquet")


def check_labels(study: Study, run: str) -> None:
    """Check, before the first training, that each percentage of the labels has a sample of every class.

    Raises:
        Failure: a percentage is less than one sample of a class.
    """
    labels = features.read_labels(result_dir("extract", run) / "train.arrow")
    for percent in study.linear.labels:
        linear_probe.label_fraction_indices(labels, percent, "linear")


def probe_features(options: Linear, run: str, directory: Path) -> tuple[dict[str, float], dict[str, object]]:
    """Train probes on the stored features; return their metrics and the columns of their predictions."""
    folder = result_dir("extract", run)
    device = default_device()
    metrics: dict[str, float] = {}
    columns: dict[str, object] = {}

    for name in features.stored_names(folder / "train.arrow"):
        train, test = features.read_splits(folder, name)
        columns |= {"key": test.keys, "label": test.labels_N.numpy()}
        for percent in options.labels:
            layer, extra_metrics = fit(train, percent, options, device)
            logits_NC = layer(test.features_ND.to(device)).cpu()
            end = suffix(name, percent)
            metrics[f"top1{end}"] = linear_probe.top1(logits_NC, test.labels_N)
            metrics |= {f"{metric}{end}": value for metric, value in extra_metrics.items()}
            columns[f"predicted{end}"] = logits_NC.argmax(1).numpy()
            # Only the probe of the global representation with all labels is kept for later stages.
            if not end:
                linear_probe.save(layer, directory / CLASSIFIERS["features"])
    return metrics, columns


def fit(train: Features, percent: int, options: Linear, device: torch.device) -> tuple[nn.Linear, dict[str, float]]:
    """Train a classifier with a percentage of the labels; return it with further metrics by their names."""
    classes = int(train.labels_N.max()) + 1
    keys, y_N, x_ND = linear_probe.label_fraction(train, percent)
    y_N = y_N.to(device)
    x_ND = x_ND.to(device)
    if options.solver == "lbfgs":
        layer, weight = logistic_probe.fit(x_ND, y_N, classes)
        return layer, {"penalty": weight}
    return linear_probe.train(Features(keys, y_N, x_ND), classes, options), {}


def probe_crops(
    study: Study, options: LinearOnCrops, run: str, directory: Path
) -> tuple[dict[str, float], dict[str, object]]:
    """Train probes on random crops, resuming a killed training; return their metrics and columns of predictions."""
    device = default_device()
    dataset = study.runs[run].dataset
    model = result_dir("pretrain", run) / "model"
    backbone, size = saved_backbone.load(model, device, options.precision)
    features.require_representations(backbone, options.representations, "linear.crops.representations")

    shards = {split: Shards(result_dir("shard", dataset) / split) for split in ("train", "test")}
    channels = study.runs[run].backbone.channels
    transform = study.datasets[dataset].test_transform
    train = training_images(shards["train"], size, channels, transform)
    test = Images(shards["test"], size, channels, transform)

    inputs = [*model.iterdir(), *(split.folder / INDEX for split in shards.values())]
    checkpoints = Checkpoints(scratch_dir("linear", run) / digest(study, "linear", run, device, inputs))
    fitted = crops_probe.fit(backbone, train, options, checkpoints, device)
    metrics, predicted = crops_probe.evaluate(backbone, fitted, test, device)
    if "global" in fitted.final:
        linear_probe.save(fitted.final["global"].layer, directory / CLASSIFIERS["crops"])

    columns: dict[str, object] = {
        f"predicted_crops{suffix(name)}": predicted_N.numpy() for name, predicted_N in predicted.items()
    }
    return {f"crops_{name}": value for name, value in metrics.items()}, columns


if __name__ == "__main__":
    launch.run(linear)
