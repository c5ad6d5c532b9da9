"""Classify the features of a run by their nearest neighbours: `results/knn/<run>/metrics.json`.

Weighted cosine kNN (Wu et al., 2018, arXiv:1805.01978, section 3.4): the k nearest training features vote with
exp(similarity / temperature); exact, in chunks.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from stages import program
from stages.probing import features
from stages.probing.classifier import top1
from stages.program import progress
from stages.study import Study

CHUNK = 1000


def knn(study: Study, run: str, directory: Path) -> None:
    train, test = (features.read(program.result("extract", run) / f"{split}.arrow") for split in ("train", "test"))
    options = study.knn
    if max(options.neighbours) > len(train.labels_N):
        raise program.Failure(f"knn.neighbours: {max(options.neighbours)} of {len(train.labels_N)} training features")
    similarity_NK, labels_NK = nearest(train, test.features_ND, max(options.neighbours))
    metrics = {}
    for k in options.neighbours:
        votes_NC = vote(similarity_NK[:, :k], labels_NK[:, :k], options.temperature)
        metrics[f"top1_k{k}"] = top1(votes_NC, test.labels_N)
    program.write_metrics(directory, metrics)


def nearest(train: features.Features, queries_ND: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The cosine similarities (N, k) of each query to its nearest training features, and their labels (N, k)."""
    device = program.device()
    train_DM = F.normalize(train.features_ND).T.to(device)
    labels_M = train.labels_N.to(device)
    found = []
    for chunk_BD in progress(F.normalize(queries_ND).split(CHUNK), "nearest neighbours", unit="chunk"):
        similarity_BK, numbers_BK = (chunk_BD.to(device) @ train_DM).topk(k)
        found.append((similarity_BK.cpu(), labels_M[numbers_BK].cpu()))
    similarities, labels = zip(*found, strict=True)
    return torch.cat(similarities), torch.cat(labels)


def vote(similarity_NK: Tensor, labels_NK: Tensor, temperature: float) -> Tensor:
    """The sum of the votes (N, classes) for each class; the nearest neighbour's vote counts one, so none overflows."""
    votes_NC = torch.zeros(len(labels_NK), int(labels_NK.max()) + 1)
    nearer_NK = similarity_NK - similarity_NK[:, :1]
    return votes_NC.scatter_add_(1, labels_NK, (nearer_NK / temperature).exp())


if __name__ == "__main__":
    program.run(knn, keys="runs")
