"""Options of the backbone `resnet` (`models/backbones/resnet.py`)."""

from typing import Literal

from whole_in_parts.config.backbone import StagedBackboneConfig
from whole_in_parts.config.section import Count, Section


class Stem(Section):
    """The first convolution: 3/1 without a pool for small images, 7/2 with one for large ones."""

    kernel: Count
    stride: Count
    pool: bool


class ResNetConfig(StagedBackboneConfig):
    """A ResNet: the width of the first stage, and blocks and stride of each stage."""

    name: Literal["resnet"]
    block: Literal["basic", "bottleneck"]
    stem: Stem

    @property
    def summary(self) -> str:
        return f"{'·'.join(map(str, self.blocks))} {self.block}, width {self.width}"
