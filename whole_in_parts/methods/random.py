"""No pretraining: the backbone as it was initialised, which every method has to beat."""

from whole_in_parts.config.methods.random import RandomConfig
from whole_in_parts.methods.base import Method
from whole_in_parts.models.backbone import Backbone


class Random(Method):
    """A backbone that takes no step and uses no view."""

    views = 0

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone


def build(options: RandomConfig, backbone: Backbone, classes: int, size: int) -> Random:
    return Random(backbone)
