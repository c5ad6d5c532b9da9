"""Compare the probe on random crops with its forward passes, several learning rates with one, and bags with theirs."""

from pathlib import Path

import numpy as np
import torch

from bench.images import photographs
from bench.pairs import Row, compare
from bench.pretraining import BACKBONE
from whole_in_parts.config.analyses.bag import BagConfig
from whole_in_parts.config.evaluations import Linear, LinearOnCrops
from whole_in_parts.data.shards import Images
from whole_in_parts.evaluation.analyses._bags import BATCH as BAG_BATCH
from whole_in_parts.evaluation.analyses._bags import Split, embed_bags, random_patches
from whole_in_parts.evaluation.analysis import AnalysisContext
from whole_in_parts.evaluation.crops_layers import Layers
from whole_in_parts.evaluation.random_crops import random_crops
from whole_in_parts.methods.base import Method
from whole_in_parts.models.backbone import Backbone, build_backbone

CPU = torch.device("cpu")
IMAGES, SIZE, BATCH, STEPS = 2000, 32, 256, 7
RATES = (0.01, 0.03, 0.1, 0.3, 1.0)
PATCHES = 16
PROBE = Linear(epochs=1, batch_size=BATCH, learning_rate=0.1, weight_decay=0.0)


def rows(folder: Path) -> list[Row]:
    """Measure the comparisons of the module docstring."""
    torch.set_num_threads(2)
    torch.manual_seed(0)
    images = Images(photographs(folder, IMAGES, SIZE), SIZE, 3)
    images[np.arange(IMAGES)]  # decoded once, as before a training of many epochs
    backbone = build_backbone(BACKBONE).eval().requires_grad_(False)
    return [probe(backbone, images), learning_rates(backbone, images), bags(backbone, images, folder)]


def probe(backbone: Backbone, images: Images) -> Row:
    """Compare steps of the probe, from the crops on, with forward passes on crops that are there."""
    ready = [crops_BCHW for crops_BCHW, _ in random_crops(images, np.arange(IMAGES), BATCH, 0, range(STEPS), CPU)]

    @torch.no_grad()
    def forward() -> int:
        return sum(len(backbone(crops_BCHW).global_BD) for crops_BCHW in ready)

    name = "linear probe on crops, 32 px, against the forward pass on crops that are there"
    return compare(name, lambda: take_steps(backbone, images, RATES[:1]), forward, aim=0.9)


def learning_rates(backbone: Backbone, images: Images) -> Row:
    """Compare several learning rates in one pass of the backbone with one learning rate."""
    return compare(
        f"linear probe on crops at {len(RATES)} learning rates, against one",
        lambda: take_steps(backbone, images, RATES),
        lambda: take_steps(backbone, images, RATES[:1]),
        aim=round(1 / 1.1, 2),
    )


def take_steps(backbone: Backbone, images: Images, rates: tuple[float, ...]) -> int:
    """Take some steps of the probe; return how many crops they saw."""
    layers = Layers(backbone, images, LinearOnCrops(batch_size=BATCH, learning_rates=rates), CPU)
    for crops_BCHW, labels_B in random_crops(images, np.arange(IMAGES), BATCH, 0, range(STEPS), CPU):
        layers.step(crops_BCHW, labels_B, 0)
    return STEPS * BATCH


def bags(backbone: Backbone, images: Images, folder: Path) -> Row:
    """Compare bags of patches with as many forward passes of the complete images."""
    context = AnalysisContext(Method(), backbone, images, images, np.arange(IMAGES), CPU, folder)
    split = Split(images, np.arange(IMAGES // 4))
    options = BagConfig(name="bag", patches=[1, PATCHES], scale=(0.1, 0.5), train_subset=IMAGES, probe=PROBE)

    def ours() -> int:
        bag = embed_bags(context, split, random_patches(options), options.patches)
        return PATCHES * len(bag.means[PATCHES])

    @torch.no_grad()
    def forward() -> int:
        batches = (
            images[indices].float() / 255
            for indices in np.split(split.indices, range(BAG_BATCH, IMAGES // 4, BAG_BATCH))
        )
        return sum(len(backbone(images_BCHW).global_BD) for images_BCHW in batches for _ in range(PATCHES))

    name = f"bags of {PATCHES} patches, against as many forward passes of the images"
    return compare(name, torch.no_grad()(ours), forward, aim=0.9)
