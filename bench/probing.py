"""Compare feature extraction and the attack with their forward and backward passes, and kNN with its matrix product.

A full kNN of 50,000 queries × 50,000 × 512 takes minutes. The bank has that size, and the queries are a chunk; the time
is linear in the chunks. `probes.py` has the probe on crops and the bags of patches.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

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
    """Measure the comparisons of the module docstring."""
    torch.set_num_threads(2)
    torch.manual_seed(0)
    images = Images(photographs(folder, IMAGES, SIZE), SIZE, 3)
    backbone = build_backbone(BACKBONE).eval().requires_grad_(False)
    return [extraction(backbone, images, folder / "test.arrow"), neighbours(), descent(backbone, images)]


def extraction(backbone: Backbone, images: Images, file: Path) -> Row:
    """Compare the way from decoded images to the file with the forward pass on ready batches."""
    batches = np.split(np.arange(len(images)), range(features.BATCH, len(images), features.BATCH))
    ready = [images[indices].float() / 255 for indices in batches]
    labels_N = torch.from_numpy(images.shards.labels)

    def ours() -> int:
        representations = features.iter_representations(backbone, images, ["global", "patch"], CPU, "bench")
        features.write(images.shards.keys, labels_N, representations, file)
        return len(images)

    @torch.no_grad()
    def forward() -> int:
        return sum(len(backbone(images_BCHW).global_BD) for images_BCHW in ready)

    return compare(f"two representations of {IMAGES:,} images, against the forward pass", ours, forward, aim=0.9)


def neighbours() -> Row:
    """Compare kNN predictions on normally distributed features with the matrix product of all similarities."""
    bank_MD = torch.randn(BANK, WIDTH)
    queries_ND = torch.randn(QUERIES, WIDTH)
    labels_M = torch.randint(0, CLASSES, (BANK,))

    def ours() -> int:
        found = nearest(bank_MD, labels_M, split_queries(queries_ND, BANK), NEIGHBOURS)
        return len(vote(*found, TEMPERATURE).argmax(1))

    def product() -> int:
        return sum(len(chunk_BD @ bank_MD.T) for chunk_BD in split_queries(queries_ND, BANK))

    name = f"kNN, {QUERIES:,} of 50,000 queries × {BANK:,} × {WIDTH}, against the matrix product"
    return compare(name, ours, product, aim=0.85, unit="queries/s")


def descent(backbone: Backbone, images: Images) -> Row:
    """Compare an attack and its predictions with as many forward and backward passes."""
    model = ProbedBackbone(backbone, torch.nn.Linear(backbone.features, CLASSES).requires_grad_(False)).eval()
    indices = np.arange(ATTACKED)
    images_BCHW = images[indices].float() / 255
    labels_B = torch.from_numpy(images.shards.labels[indices])

    def ours() -> int:
        return len(pgd.predict_under_attack(model, images_BCHW, labels_B, indices, SETTING))

    def gradients() -> int:
        for _ in range(SETTING.iterations):
            x_BCHW = images_BCHW.clone().requires_grad_()
            torch.autograd.grad(F.cross_entropy(model(x_BCHW), labels_B, reduction="sum"), x_BCHW)
        return ATTACKED

    name = f"PGD of {SETTING.iterations} steps, against as many forward and backward passes"
    return compare(name, ours, gradients, aim=0.9)
