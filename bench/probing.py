"""Features against the bare forward pass, kNN against scikit-learn's, and PGD against its own gradients, on two cores.

kNN of 50,000 queries × 50,000 × 512 takes minutes: the bank has that size, and there are about as many queries as
scikit-learn compares at once, by its working memory of 1 GB; more are more of the same.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.neighbors import KNeighborsClassifier

from bench.images import photographs
from bench.pairs import Row, compare
from bench.pretraining import BACKBONE
from whole_in_parts.config.evaluations import AttackSetting
from whole_in_parts.data.shards import Images
from whole_in_parts.evaluation import features, pgd
from whole_in_parts.evaluation.nearest_neighbours import nearest, split_queries, vote
from whole_in_parts.evaluation.probed_backbone import ProbedBackbone
from whole_in_parts.models.backbone import Backbone, build_backbone

CPU = torch.device("cpu")
IMAGES, SIZE = 4000, 32
BANK, QUERIES, WIDTH, CLASSES, NEIGHBOURS, TEMPERATURE = 50_000, 2500, 512, 10, 20, 0.07
ATTACKED, SETTING = 100, AttackSetting(epsilon=0.03, step=0.25, iterations=10)


def rows(folder: Path) -> list[Row]:
    torch.set_num_threads(2)
    torch.manual_seed(0)
    images = Images(photographs(folder, IMAGES, SIZE), SIZE, 3)
    backbone = build_backbone(BACKBONE).eval().requires_grad_(False)
    return [extraction(backbone, images, folder / "test.arrow"), neighbours(), descent(backbone, images)]


def extraction(backbone: Backbone, images: Images, file: Path) -> Row:
    """From decoded images to the file, against the forward pass of batches that are there."""
    every = features.iter_batches(images, np.arange(len(images)), CPU, "bench")
    there = [images_BCHW for _, images_BCHW in every]
    labels_N = torch.from_numpy(images.shards.labels)

    def ours() -> int:
        made = features.iter_representations(backbone, images, ["whole", "patch"], CPU, "bench")
        features.write(images.shards.keys, labels_N, made, file)
        return len(images)

    @torch.no_grad()
    def bare() -> int:
        return sum(len(backbone(images_BCHW).global_BD) for images_BCHW in there)

    return compare(f"two representations of {IMAGES:,} images, against the bare forward pass", ours, bare, aim=0.9)


def neighbours() -> Row:
    """The same votes, to the last class that is said, from normal features."""
    bank_MD, queries_ND = torch.randn(BANK, WIDTH), torch.randn(QUERIES, WIDTH)
    labels_M = torch.randint(0, CLASSES, (BANK,))
    theirs = KNeighborsClassifier(
        NEIGHBOURS,
        algorithm="brute",
        metric="cosine",
        weights=lambda distances: np.exp((1 - distances) / TEMPERATURE),
    ).fit(bank_MD.numpy(), labels_M.numpy())

    def ours() -> int:
        found = nearest(bank_MD, labels_M, split_queries(queries_ND, BANK), NEIGHBOURS)
        return len(vote(*found, TEMPERATURE).argmax(1))

    def scikit_learn() -> int:
        return len(theirs.predict(queries_ND.numpy()))

    what = f"kNN, {QUERIES:,} of 50,000 queries × {BANK:,} × {WIDTH}, against scikit-learn's brute force"
    return compare(what, ours, scikit_learn, aim=5, unit="queries/s")


def descent(backbone: Backbone, images: Images) -> Row:
    """An attack and what is said of its result, against as many forward and backward passes."""
    model = ProbedBackbone(backbone, torch.nn.Linear(backbone.features, CLASSES).requires_grad_(False)).eval()
    numbers = np.arange(ATTACKED)
    images_BCHW, labels_B = images[numbers].float() / 255, torch.from_numpy(images.shards.labels[numbers])

    def ours() -> int:
        return len(pgd.predict_under_attack(model, images_BCHW, labels_B, numbers, SETTING))

    def gradients() -> int:
        for _ in range(SETTING.iterations):
            x_BCHW = images_BCHW.clone().requires_grad_()
            torch.autograd.grad(F.cross_entropy(model(x_BCHW), labels_B, reduction="sum"), x_BCHW)
        return ATTACKED

    what = f"PGD of {SETTING.iterations} steps, against as many forward and backward passes"
    return compare(what, ours, gradients, aim=0.9)
