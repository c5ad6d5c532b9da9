"""Supervised pretraining: the backbone and a linear classifier, trained by cross-entropy on the labels."""

import torch.nn.functional as F
from torch import nn

from whole_in_parts.augment.views import Batch
from whole_in_parts.methods.base import Losses, Method
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.precision import to_float32


class Supervised(Method):
    """One augmented view an image; what the other methods are measured against."""

    views = 1

    def __init__(self, backbone: Backbone, classes: int):
        super().__init__()
        self.backbone = backbone
        self.classifier = nn.Linear(backbone.features, classes)

    def forward(self, batch: Batch) -> Losses:
        logits_BK = self.classifier(self.backbone(batch.views[0]).global_BD)
        return {"classification": F.cross_entropy(to_float32(logits_BK), batch.labels_B)}


def build(options, backbone: Backbone, classes: int, size: int) -> Supervised:
    return Supervised(backbone, classes)
