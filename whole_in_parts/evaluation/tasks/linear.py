"""Linear evaluation: logistic regression on the frozen features (`evaluation/logistic_probe.py`), or a layer by SGD.

Top-1, and the mean of the classes' accuracies, which is the metric of unbalanced sets, both in per cent; and the
weight of the penalty that logistic regression has chosen.
"""

import torch
from torch import Tensor

from whole_in_parts.config.tasks.linear import LinearTaskConfig
from whole_in_parts.evaluation import linear_probe, logistic_probe
from whole_in_parts.evaluation.features import Features, features
from whole_in_parts.evaluation.linear_probe import top1
from whole_in_parts.evaluation.task import TaskContext, shared_class_names


def evaluate(context: TaskContext, options: LinearTaskConfig) -> dict[str, float]:
    classes = shared_class_names(context)
    seen, unseen = (
        features(context.backbone, images, context.device, "features") for images in (context.train, context.test)
    )
    x_ND, y_N = seen.features_ND.to(context.device), seen.labels_N.to(context.device)
    found: dict[str, float] = {}
    if options.probe:
        layer = linear_probe.train(Features(seen.keys, y_N, x_ND), len(classes), options.probe)
    else:
        layer, found["penalty"] = logistic_probe.fit(x_ND, y_N, len(classes))
    logits_NC = layer(unseen.features_ND.to(context.device)).cpu()
    accuracies = {name: score(logits_NC, unseen.labels_N) for name, score in METRICS.items()}
    return accuracies | found


def mean_per_class(logits_NC: Tensor, labels_N: Tensor) -> float:
    """The mean over the classes that have test samples of the accuracy in each."""
    right_N = (logits_NC.argmax(1) == labels_N).double()
    accuracies = torch.stack([right_N[labels_N == label].mean() for label in labels_N.unique()])
    return round(100 * accuracies.mean().item(), 4)


METRICS = {"top1": top1, "mean_per_class": mean_per_class}
