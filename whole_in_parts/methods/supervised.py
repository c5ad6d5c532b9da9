"""Supervised pretraining: the backbone and a linear classifier, trained by cross-entropy on the labels."""

import torch.nn.functional as F
from torch import nn

from whole_in_parts.augment.views import Batch
from whole_in_parts.config.methods.supervised import SupervisedConfig
from whole_in_parts.methods.base import Method, Output, kept_features
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.models.precision import to_float32


class Supervised(Method):
    """Uses one augmented view of each image; the reference for the other methods."""

    views = 1
    decays_1d = True

    def __init__(self, backbone: Backbone, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = nn.Linear(backbone.features, classes)

    def forward(self, batch: Batch) -> Output:
        view = self.backbone(batch.views[0])
        logits_BK = self.classifier(view.global_BD)
        losses = {"classification": F.cross_entropy(to_float32(logits_BK), batch.labels_B)}
        return Output(losses, kept_features([view]))


def build(options: SupervisedConfig, backbone: Backbone, classes: int, size: int) -> Supervised:
    return Supervised(backbone, classes)
