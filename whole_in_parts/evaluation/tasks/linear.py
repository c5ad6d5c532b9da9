"""Linear evaluation: logistic regression on frozen features (`evaluation/logistic_probe.py`), or a probe by SGD.

`top1` and `mean_per_class`, the mean of the classes' accuracies, are in per cent; unbalanced datasets are scored by the
latter. `penalty` is the weight of the penalty that logistic regression has selected.
"""

import torch
from torch import Tensor

from whole_in_parts.config.tasks.linear import LinearTaskConfig
from whole_in_parts.distributed.environment import is_rank_zero
from whole_in_parts.evaluation import linear_probe, logistic_probe
from whole_in_parts.evaluation.features import Features, extract_features
from whole_in_parts.evaluation.linear_probe import top1
from whole_in_parts.evaluation.task import TaskContext, shared_class_names


def evaluate(context: TaskContext, options: LinearTaskConfig) -> dict[str, float]:
    classes = shared_class_names(context)
    train, test = (
        extract_features(context.backbone, images, context.device, "features")
        for images in (context.train, context.test)
    )
    # All processes share the images; the features fit one, and the others would only wait for it.
    if not is_rank_zero():
        return {}

    x_ND = train.features_ND.to(context.device)
    y_N = train.labels_N.to(context.device)

    penalty: dict[str, float] = {}
    if options.probe:
        layer = linear_probe.train(Features(train.keys, y_N, x_ND), len(classes), options.probe)
    else:
        layer, penalty["penalty"] = logistic_probe.fit(x_ND, y_N, len(classes))

    logits_NC = layer(test.features_ND.to(context.device)).cpu()
    accuracies = {name: score(logits_NC, test.labels_N) for name, score in METRICS.items()}
    return accuracies | penalty


def mean_per_class(logits_NC: Tensor, labels_N: Tensor) -> float:
    """Compute the mean, in per cent, of the accuracies of the classes that have test samples."""
    correct_N = (logits_NC.argmax(1) == labels_N).double()
    accuracies = torch.stack([correct_N[labels_N == label].mean() for label in labels_N.unique()])
    return round(100 * accuracies.mean().item(), 4)


METRICS = {"top1": top1, "mean_per_class": mean_per_class}
