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


PUBLISHED: dict[tuple[str, tuple[int, ...]], str] = {
    ("basic", (2, 2, 2, 2)): "resnet18",
    ("basic", (3, 4, 6, 3)): "resnet34",
    ("bottleneck", (3, 4, 6, 3)): "resnet50",
    ("bottleneck", (3, 4, 23, 3)): "resnet101",
    ("bottleneck", (3, 8, 36, 3)): "resnet152",
}
"""The ResNets of timm and torchvision, by their blocks; width, stem and strides are the same in all of them."""

PUBLISHED_SHAPE = ("resnet", 64, Stem(kernel=7, stride=2, pool=True), [1, 2, 2, 2])


class ResNetConfig(StagedBackboneConfig):
    """A ResNet of any depth and width."""

    name: Literal["resnet"]
    """Selects ResNet."""
    block: Literal["basic", "bottleneck"]
    """Type of residual block: `basic` (two 3×3 convolutions) or `bottleneck`."""
    stem: Stem
    """The layers before the first stage."""

    @property
    def architecture(self) -> str:
        published = (self.name, self.width, self.stem, self.strides) == PUBLISHED_SHAPE
        return PUBLISHED.get((self.block, tuple(self.blocks)), self.name) if published else self.name

    @property
    def summary(self) -> str:
        return f"{'·'.join(map(str, self.blocks))} {self.block}, width {self.width}"
