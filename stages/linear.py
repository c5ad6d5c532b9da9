"""Train a linear probe on the features of a run: `results/linear/<run>/`.

Writes `metrics.json` (top-1 on the test split, in per cent), the classifier, and the prediction of every test image.
A probe is trained on each representation that was extracted, by each share of the labels: `top1` is that of the global
representation by all labels, `top1_patch`, `top1_layer_3`, `top1_labels_1` and `top1_patch_labels_10` the others. With
`solver: lbfgs`, `penalty` is the weight that was chosen. The classifier is the one of `top1`.

Features are of images that are not augmented, each extracted once. The papers' offline probes see random crops: that is
a task of transfer, `linear_on_crops`.
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
    folder, device = result_dir("extract", run), default_device()
    metrics: dict[str, float] = {}
    rows: dict[str, object] = {}
    for name in features.names(folder / "train.arrow"):
        train, test = features.splits(folder, name)
        rows |= {"key": test.keys, "label": test.labels_N.numpy()}
        for percent in study.linear.labels:
            layer, found = fit(train, percent, study.linear, device)
            logits_NC, end = layer(test.features_ND.to(device)).cpu(), suffix(name, percent)
            metrics[f"top1{end}"] = linear_probe.top1(logits_NC, test.labels_N)
            metrics |= {f"{metric}{end}": value for metric, value in found.items()}
            rows[f"predicted{end}"] = logits_NC.argmax(1).numpy()
            if not end:
                linear_probe.save(layer, directory / "classifier.safetensors")
    write_metrics(directory, metrics)
    pq.write_table(pa.table(rows), directory / "predictions.parquet")


def fit(train: Features, percent: int, options: Linear, device: torch.device) -> tuple[nn.Linear, dict[str, float]]:
    """A classifier by some per cent of the labels, and what was found beside it."""
    classes = int(train.labels_N.max()) + 1
    keys, y_N, x_ND = linear_probe.label_fraction(train, percent)
    y_N, x_ND = y_N.to(device), x_ND.to(device)
    if options.solver == "lbfgs":
        layer, weight = logistic_probe.fit(x_ND, y_N, classes)
        return layer, {"penalty": weight}
    return linear_probe.train(Features(keys, y_N, x_ND), classes, options), {}


if __name__ == "__main__":
    program.run(linear)
