"""Supervised pretraining: the backbone and a linear classifier, trained by cross-entropy on the labels."""

import torch.nn.functional as F
from torch import Tensor, nn

from stages.backbones import Backbone
from stages.methods import Losses, Method


class Supervised(Method):
    """One augmented view an image; what the other methods are measured against."""

    views = 1

    def __init__(self, backbone: Backbone, classes: int):
        super().__init__()
        self.backbone = backbone
        self.classifier = nn.Linear(backbone.features, classes)

    def forward(self, views: list[Tensor], labels_B: Tensor) -> Losses:
        logits_BK = self.classifier(self.backbone(views[0]).whole_BD)
        return {"classification": F.cross_entropy(logits_BK, labels_B)}


def build(options, backbone: Backbone, classes: int) -> Supervised:
    return Supervised(backbone, classes)
