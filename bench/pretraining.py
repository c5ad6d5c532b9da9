"""Compare BYOL end to end on two cores with lightly's modules in a plain loop, and with steps on ready views.

As in a training, images are decoded once, in the first epoch, and cached; the plain loop decodes them in every epoch.
"""

import copy
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from bench.accelerator import RESNET_18
from bench.data_path import BATCH, SIZE, ViewPair, lightly_loader, our_views
from bench.images import photographs
from bench.pairs import Row, compare, take_step
from whole_in_parts.augment.views import Batch
from whole_in_parts.config.backbones.resnet import ResNetConfig, Stem
from whole_in_parts.config.methods.byol import ByolConfig
from whole_in_parts.data.shards import Images
from whole_in_parts.methods.base import build_method
from whole_in_parts.models.backbone import build_backbone
from whole_in_parts.schedules import Clock

IMAGES = 2048
FEW = 32
"""The batch size of the ResNet-18, a network of the papers' size."""

HIDDEN, OUTPUT = 256, 64
BACKBONE = ResNetConfig(
    name="resnet",
    block="basic",
    channels=3,
    mean=[0.5] * 3,
    std=[0.25] * 3,
    width=16,
    blocks=[1, 1, 1, 1],
    strides=[1, 2, 2, 2],
    stem=Stem(kernel=3, stride=2, pool=False),
)


class Ours:
    """This project's method with an optimizer; `epoch` takes a step per batch of views."""

    def __init__(self, backbone: ResNetConfig) -> None:
        torch.manual_seed(0)
        options = ByolConfig(name="byol", projector=[HIDDEN, OUTPUT], predictor=HIDDEN, momentum=(0.99, 1.0))
        self.method = build_method(options, build_backbone(backbone), 10, SIZE).train()
        self.optimizer = torch.optim.SGD(self.method.parameters(), 0.05, momentum=0.9)

    def epoch(self, batches: Iterable[list[Tensor]]) -> int:
        """Take a step per batch, and return the number of images."""
        images = 0
        for views in batches:
            take_step(self.optimizer, self.method, Batch(views, [], [], torch.empty(0)))
            self.method.update(Clock(1, 2, 1))
            images += len(views[0])
        return images


class Lightly:
    """The BYOL loop of lightly's documentation, with the same backbone and heads of the same sizes."""

    def __init__(self) -> None:
        from lightly.loss import NegativeCosineSimilarity
        from lightly.models.modules import BYOLPredictionHead, BYOLProjectionHead

        torch.manual_seed(0)
        self.backbone = build_backbone(BACKBONE).to(memory_format=torch.contiguous_format).train()
        self.projector = BYOLProjectionHead(self.backbone.features, HIDDEN, OUTPUT)
        self.predictor = BYOLPredictionHead(OUTPUT, HIDDEN, OUTPUT)
        self.targets = [copy.deepcopy(module).requires_grad_(False) for module in (self.backbone, self.projector)]
        self.loss = NegativeCosineSimilarity()
        modules = (self.backbone, self.projector, self.predictor)
        self.optimizer = torch.optim.SGD(
            [parameter for module in modules for parameter in module.parameters()], 0.05, momentum=0.9
        )

    def epoch(self, loader: DataLoader[ViewPair]) -> int:
        """Take a step per batch, and return the number of images."""
        from lightly.models.utils import update_momentum

        images = 0
        for first, second in loader:
            for online, target in zip((self.backbone, self.projector), self.targets, strict=True):
                update_momentum(online, target, m=0.99)
            loss = 0.5 * (
                self.loss(self.online(first), self.target(second)) + self.loss(self.online(second), self.target(first))
            )
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            images += len(first)
        return images

    def online(self, images: Tensor) -> Tensor:
        return self.predictor(self.projector(self.backbone(images).global_BD))

    @torch.no_grad()
    def target(self, images: Tensor) -> Tensor:
        return self.targets[1](self.targets[0](images).global_BD)


def rows(folder: Path) -> list[Row]:
    """Measure the comparisons of the module docstring."""
    torch.set_num_threads(2)
    shards = photographs(folder, IMAGES, SIZE)
    ours = Ours(BACKBONE)
    large = Ours(RESNET_18)
    lightly = Lightly()
    loader = lightly_loader(shards, workers=2)
    images = Images(shards, SIZE, 3)
    views = next(our_views(images))
    few_views = next(our_views(images, FEW))

    def end_to_end() -> int:
        return ours.epoch(our_views(images))

    return [
        compare(
            "BYOL on two cores, against lightly's modules with two workers",
            end_to_end,
            lambda: lightly.epoch(loader),
            aim=2.5,
        ),
        compare(
            "the same, against steps on ready views",
            end_to_end,
            lambda: ours.epoch(views for _ in range(IMAGES // BATCH)),
            aim=0.95,
        ),
        compare(
            "BYOL of a ResNet-18 for small images, against steps on ready views",
            lambda: large.epoch(islice(our_views(images, FEW), 2)),
            lambda: large.epoch([few_views, few_views]),
            aim=0.95,
        ),
    ]
