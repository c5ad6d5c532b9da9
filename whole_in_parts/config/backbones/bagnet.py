"""Options of the backbone `bagnet` (`models/backbones/bagnet.py`)."""

from typing import Literal

from whole_in_parts.config.backbone import StagedBackboneConfig


class BagNetConfig(StagedBackboneConfig):
    """BagNet; BagNet-33 has width 64, blocks [3, 4, 6, 3] and strides [2, 2, 2, 1]."""

    name: Literal["bagnet"]
    """Selects BagNet."""
    mlp: bool
    """Add the MLP of an RF-ResNet after the pooling."""

    @property
    def summary(self) -> str:
        return f"{'·'.join(map(str, self.blocks))}, width {self.width}"
