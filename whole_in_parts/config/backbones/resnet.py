"""Options of the backbone `resnet` (`models/backbones/resnet.py`)."""

from typing import Literal

from whole_in_parts.config.backbone import StagedBackboneConfig
from whole_in_parts.config.section import Count, Section, WholeNumber


class Stem(Section):
    """The first convolution; 3×3, stride 1 and no pool for small images, 7×7, stride 2 and a pool for large ones."""

    kernel: Count
    """Kernel size in pixels."""
    stride: Count
    """Stride in pixels."""
    pool: bool
    """Add a max-pool after the convolution."""
    padding: WholeNumber | None = None
    """Padding in pixels; half the kernel, rounded down, if left out. solo-learn's 3×3 has 2."""


class ResNetConfig(StagedBackboneConfig):
    """A ResNet of any depth and width."""

    name: Literal["resnet"]
    """Selects ResNet."""
    block: Literal["basic", "bottleneck"]
    """Type of residual block: `basic` (two 3×3 convolutions) or `bottleneck`."""
    stem: Stem
    """The layers before the first stage."""

    @property
    def summary(self) -> str:
        return f"{'·'.join(map(str, self.blocks))} {self.block}, width {self.width}"
