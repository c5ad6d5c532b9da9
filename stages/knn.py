"""Classify the test features of a run by their nearest neighbours: `results/knn/<run>/`.

Weighted cosine kNN (Wu et al., 2018, arXiv:1805.01978, section 3.4): the k nearest training features vote with
exp(similarity / temperature); exact, in chunks. In `metrics.json`, `top1_k20` is the accuracy, in per cent, of the
global representation with all labels. Names such as `top1_k20_patch`, `top1_k20_labels_1` and
`top1_k20_layer_3_labels_10` are for the other extracted representations and for shares of the labels, with the same
samples as the linear probe. `predictions.parquet` has the prediction of each classifier for every test image.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from whole_in_parts.config.evaluations import KNN
from whole_in_parts.config.study import Study
from whole_in_parts.distributed.environment import default_device
from whole_in_parts.evaluation import features
from whole_in_parts.evaluation.features import Features
from whole_in_parts.evaluation.linear_probe import label_fraction, top1
from whole_in_parts.evaluation.metric_names import suffix
from whole_in_parts.evaluation.nearest_neighbours import split_queries, votes
from whole_in_parts.failure import Failure
from whole_in_parts.malloc import keep_freed_memory
from whole_in_parts.metrics import write_metrics
from whole_in_parts.progress import progress
from whole_in_parts.results import result_dir
from workflow import program


def knn(study: Study, run: str, directory: Path) -> None:
    folder = result_dir("extract", run)
    metrics: dict[str, float] = {}
    columns: dict[str, object] = {}
    keep_freed_memory()
    device = default_device()

    for name in features.stored_names(folder / "train.arrow"):
        train, test = features.read_splits(folder, name)
        columns |= {"key": test.keys, "label": test.labels_N.numpy()}
        for percent, bank in banks(train, study.knn).items():
            chunks = progress(split_queries(test.features_ND, len(bank.keys)), f"neighbours, {name}", unit="chunk")
            for k, votes_NC in votes(bank.features_ND.to(device), bank.labels_N.to(device), chunks, study.knn).items():
                end = f"k{k}{suffix(name, percent)}"
                metrics[f"top1_{end}"] = top1(votes_NC, test.labels_N)
                columns[f"predicted_{end}"] = votes_NC.argmax(1).numpy()

    write_metrics(directory, metrics)
    pq.write_table(pa.table(columns), directory / "predictions.parquet")


def banks(train: Features, options: KNN) -> dict[int, Features]:
    """Select the training features that vote, for each percentage of the labels.

    Raises:
        Failure: a bank has fewer features than there are neighbours to find.
    """
    features_by_percent = {percent: label_fraction(train, percent, "knn") for percent in options.labels}
    largest_k = max(options.neighbours)
    for percent, bank in features_by_percent.items():
        if largest_k > len(bank.keys):
            remark = f", which is what {percent} % of the labels leave" if percent < 100 else ""
            raise Failure(f"knn.neighbours: {largest_k} of {len(bank.keys)} training features{remark}")
    return features_by_percent


if __name__ == "__main__":
    program.run(knn)
