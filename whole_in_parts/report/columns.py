"""The columns of the main table, from the evaluations that a study asks for."""

from typing import NamedTuple

from whole_in_parts.config.study import Study
from whole_in_parts.evaluation.metric_names import suffix
from whole_in_parts.report.asked import headline, probed_on_crops

NBSP = "\N{NO-BREAK SPACE}"


class Column(NamedTuple):
    """A column of the main table: a metric of an evaluation, its label, and the heading above it."""

    kind: str
    metric: str
    heading: str
    label: str


def columns(study: Study) -> list[Column]:
    """The columns of the main table, in the order of the stages."""
    return [*linear_columns(study), *knn_columns(study), *robustness_columns(study), *transfer_columns(study)]


def linear_columns(study: Study) -> list[Column]:
    """The columns of the linear probes: on stored features, and on random crops."""
    on_features = [
        Column("linear", f"top1{suffix(name, percent)}", "Probes", f"linear{of(name)}{by(percent)}")
        for name in study.extract.representations
        for percent in study.linear.labels
    ]
    on_crops = [
        Column("linear", f"crops_top1{suffix(name)}", "Probes", f"linear on crops{of(name)}")
        for name in probed_on_crops(study)
    ]
    return on_features + on_crops


def knn_columns(study: Study) -> list[Column]:
    """The columns of kNN; none if it is asked of no run."""
    if study.knn.runs == []:
        return []
    return [
        Column("knn", f"top1_k{k}{suffix(name, percent)}", "Probes", f"kNN, k{NBSP}={NBSP}{k}{of(name)}{by(percent)}")
        for name in study.extract.representations
        for percent in study.knn.labels
        for k in study.knn.neighbours
    ]


def robustness_columns(study: Study) -> list[Column]:
    """The columns of corruptions with their mean, of masks, and of attacks."""
    corrupted = [Column("corrupt", name, "Corrupted", name.replace("_", " ")) for name in study.corrupt.corruptions]
    if len(corrupted) > 1:
        corrupted.append(Column("corrupt", "mean", "Corrupted", "mean"))

    masked = [Column("mask", "mean", "Masked", "mean of rates")] if study.mask.rates else []
    attacked = [Column("attack", name, "Attacked", name.replace("_", " ")) for name in study.attack.settings]
    return corrupted + masked + attacked


def transfer_columns(study: Study) -> list[Column]:
    """The columns of transfers, one for each dataset and task."""
    labels = {
        (headline(transfer), f"{transfer.dataset}, {transfer.task.name.replace('_', ' ')}"): None
        for transfer in study.transfer.values()
    }
    return [Column("transfer", metric, "Transfer", label) for metric, label in labels]


def of(representation: str) -> str:
    """Name the representation that a probe reads, unless it is the global one."""
    return "" if representation == "global" else f", {representation.replace('_', NBSP)}"


def by(percent: int) -> str:
    """Name the share of labels that a probe is trained on, unless these are all."""
    return "" if percent == 100 else f", {percent}{NBSP}% of labels"
