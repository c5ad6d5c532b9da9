"""Options of the backbone `bagnet` (`models/backbones/bagnet.py`)."""

from typing import Literal

from whole_in_parts.config.backbone import StagedBackboneConfig


class BagNetConfig(StagedBackboneConfig):
    """BagNet-33 is width 64, blocks [3, 4, 6, 3], strides [2, 2, 2, 1]; `mlp` adds an RF-ResNet's after the pooling."""

    name: Literal["bagnet"]
    mlp: bool

    @property
    def summary(self) -> str:
        return f"{'·'.join(map(str, self.blocks))}, width {self.width}"
