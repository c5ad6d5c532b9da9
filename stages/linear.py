"""Train a linear probe on the features of a run: `results/linear/<run>/`.

Writes `metrics.json` (top-1 on the test split, in per cent), the classifier, and the prediction of every test image.
A probe is trained for each extracted representation and each share of the labels. `top1` is the accuracy of the global
representation with all labels; names such as `top1_patch`, `top1_layer_3`, `top1_labels_1` and `top1_patch_labels_10`
are those of the other probes. With `solver: lbfgs`, `penalty` is the selected weight. The stored classifier is that of
`top1`.

Features are extracted once, from images without augmentation. The papers train their offline probes on random crops:
that is the transfer task `linear_on_crops`.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

from whole_in_parts.config.evaluations import Linear
from whole_in_parts.config.study import Study
from whole_in_parts.distributed.environment import default_device
from whole_in_parts.evaluation import features, linear_probe, logistic_probe
from whole_in_parts.evaluation.features import Features
from whole_in_parts.evaluation.metric_names import suffix
from whole_in_parts.metrics import write_metrics
from whole_in_parts.results import result_dir
from workflow import program


def linear(study: Study, run: str, directory: Path) -> None:
    folder = result_dir("extract", run)
    device = default_device()
    metrics: dict[str, float] = {}
    columns: dict[str, object] = {}

    for name in features.stored_names(folder / "train.arrow"):
        train, test = features.read_splits(folder, name)
        columns |= {"key": test.keys, "label": test.labels_N.numpy()}
        for percent in study.linear.labels:
            layer, extra_metrics = fit(train, percent, study.linear, device)
            logits_NC = layer(test.features_ND.to(device)).cpu()
            end = suffix(name, percent)
            metrics[f"top1{end}"] = linear_probe.top1(logits_NC, test.labels_N)
            metrics |= {f"{metric}{end}": value for metric, value in extra_metrics.items()}
            columns[f"predicted{end}"] = logits_NC.argmax(1).numpy()
            # Only the probe of the global representation with all labels is kept for later stages.
            if not end:
                linear_probe.save(layer, directory / "classifier.safetensors")

    write_metrics(directory, metrics)
    pq.write_table(pa.table(columns), directory / "predictions.parquet")


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


if __name__ == "__main__":
    program.run(linear)
