"""Classify the features of a run by their nearest neighbours: `results/knn/<run>/`.

Weighted cosine kNN (Wu et al., 2018, arXiv:1805.01978, section 3.4): the k nearest training features vote with
exp(similarity / temperature); exact, in chunks. `top1_k20` in `metrics.json`, in per cent, is of the global
representation by all labels; `top1_k20_patch`, `top1_k20_labels_1` and `top1_k20_layer_3_labels_10` are of the other
representations that were extracted and of shares of the labels, the same samples as the linear probe's.
`predictions.parquet` has what each of them says of every test image.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from whole_in_parts.config.evaluations import KNN
from whole_in_parts.config.study import Study
from whole_in_parts.distributed.environment import default_device
from whole_in_parts.evaluation import features
from whole_in_parts.evaluation.features import Features
from whole_in_parts.evaluation.linear_probe import label_fraction, top1
from whole_in_parts.evaluation.metric_names import suffix
from whole_in_parts.evaluation.nearest_neighbours import chunks, nearest, vote
from whole_in_parts.failure import Failure
from whole_in_parts.malloc import keep_freed_memory
from whole_in_parts.metrics import write_metrics
from whole_in_parts.progress import progress
from whole_in_parts.results import result_dir
from workflow import program


def knn(study: Study, run: str, directory: Path) -> None:
    folder = result_dir("extract", run)
    metrics: dict[str, float] = {}
    rows: dict[str, object] = {}
    keep_freed_memory()
    for name in features.names(folder / "train.arrow"):
        train, test = features.splits(folder, name)
        rows |= {"key": test.keys, "label": test.labels_N.numpy()}
        for percent, bank in banks(train, study.knn).items():
            for k, votes_NC in votes(bank, test, study.knn, f"neighbours, {name}").items():
                end = f"k{k}{suffix(name, percent)}"
                metrics[f"top1_{end}"] = top1(votes_NC, test.labels_N)
                rows[f"predicted_{end}"] = votes_NC.argmax(1).numpy()
    write_metrics(directory, metrics)
    pq.write_table(pa.table(rows), directory / "predictions.parquet")


def banks(train: Features, options: KNN) -> dict[int, Features]:
    """The training features that may vote, for each share of the labels in per cent.

    Raises:
        Failure: they are fewer than the neighbours that are asked for.
    """
    found, asked = (
        {percent: label_fraction(train, percent, "knn") for percent in options.labels},
        max(options.neighbours),
    )
    for percent, bank in found.items():
        if asked > len(bank.keys):
            left = f", which is what {percent} % of the labels leave" if percent < 100 else ""
            raise Failure(f"knn.neighbours: {asked} of {len(bank.keys)} training features{left}")
    return found


def votes(bank: Features, test: Features, options: KNN, what: str) -> dict[int, Tensor]:
    """The votes (N, C) for each number of neighbours."""
    device = default_device()
    queries = progress(chunks(test.features_ND, len(bank.keys)), what, unit="chunk")
    given = bank.features_ND.to(device), bank.labels_N.to(device)
    similarity_NK, labels_NK = nearest(*given, queries, max(options.neighbours))
    return {k: vote(similarity_NK[:, :k], labels_NK[:, :k], options.temperature) for k in options.neighbours}


if __name__ == "__main__":
    program.run(knn)
