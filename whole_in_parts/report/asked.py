"""The metrics that a study asks for: of each stage of a run, and of its entries of transfer and analyse."""

from whole_in_parts.config.evaluations import NOT_ASKED
from whole_in_parts.config.runs import Run
from whole_in_parts.config.study import Study
from whole_in_parts.config.transfer import Transfer
from whole_in_parts.evaluation.corruption import SEVERITIES
from whole_in_parts.evaluation.metric_names import suffix

EVALUATIONS = ("linear", "knn", "corrupt", "mask", "attack", "transfer")
OWNERS = dict.fromkeys(("pretrain", *EVALUATIONS), "runs") | {"contract": "datasets"}
OWNERS |= {kind: kind for kind in ("transfer", "analyse")}
"""The kinds that the report reads, and the section of the study whose entries are their keys."""

ALWAYS = [
    "steps",
    "epochs",
    "seconds",
    "peak_memory_mb",
    "parameters",
    "multiply_adds",
    "receptive_field",
    "stride",
    "map_size",
]
IF_CONVOLUTIONAL = ["receptive_field", "stride"]
IF_LABELLED = ["online_linear", "online_plain"]
ONLINE_METRICS = ["online_linear", "online_plain", "online_knn", "rank", "spread", "collapsed"]
PATCH_METRICS = ["online_linear_patch", "online_plain_patch"]
"""Metrics of the evaluation during training, measured at some of its steps; those of `patch` for some backbones."""

IF_TRAINED = ["images_per_second", "loss", *ONLINE_METRICS]


def applies(options: Run, name: str) -> bool:
    """Return whether a metric of pretraining is defined for these options."""
    return (
        (bool(options.epochs) or name not in IF_TRAINED)
        and (options.backbone.convolutional or name not in IF_CONVOLUTIONAL)
        and (options.split == "train" or name not in IF_LABELLED)
    )


def probed_on_crops(study: Study) -> list[str]:
    """Return the names of the representations that are probed on random crops."""
    return study.linear.crops.representations if study.linear.crops else []


def expected_metrics(study: Study, run: str, kind: str) -> list[str]:
    """Return the metrics that a stage must have measured for a run."""
    if kind in NOT_ASKED and not getattr(study, kind).asks(run):
        return []

    severities = [f"{name}_{severity}" for name in study.corrupt.corruptions for severity in SEVERITIES]
    options = study.runs[run]
    representations = study.extract.representations
    return {
        "pretrain": [name for name in ALWAYS + IF_TRAINED if applies(options, name)],
        "linear": [
            *[f"top1{suffix(name, percent)}" for name in representations for percent in study.linear.labels],
            *[f"crops_top1{suffix(name)}" for name in probed_on_crops(study)],
        ],
        "knn": [
            f"top1_k{k}{suffix(name, percent)}"
            for name in representations
            for percent in study.knn.labels
            for k in study.knn.neighbours
        ],
        "corrupt": ["clean", *severities, *study.corrupt.corruptions, *(["mean", "mean_error"] if severities else [])],
        "mask": [
            "mask_0",
            *[f"mask_{rate}" for rate in study.mask.rates if rate],
            *(["mean"] if study.mask.rates else []),
        ],
        "attack": ["clean", *study.attack.settings],
        "transfer": [headline(transfer) for transfer in study.transfer.values() if transfer.run == run],
    }[kind]


def asked_of_analysis(study: Study, key: str) -> list[str]:
    """Return the metrics that an analysis must have: its headline, and those to be set beside published ones."""
    metrics = [metric for row in study.published for metric in row.metrics.values()]
    named = [metric.removeprefix(f"analyse.{key}.") for metric in metrics if metric.startswith(f"analyse.{key}.")]
    return [*dict.fromkeys([study.analyse[key].analysis.headline, *named])]


def prefix(transfer: Transfer) -> str:
    """Return the prefix of the metrics of a transfer entry: its dataset and its task."""
    return f"{transfer.dataset}_{transfer.task.name}"


def headline(transfer: Transfer) -> str:
    """Return the full name of the metric that the report shows for a transfer entry."""
    return f"{prefix(transfer)}_{transfer.task.headline}"
