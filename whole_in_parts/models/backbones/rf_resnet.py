"""RF-ResNet: a ResNet whose local representations see only a part of the image (CO-SSL, section 3.2).

In each stage the first convolution of the first block and of the middle block stays 3×3; every other 3×3 becomes
1×1. An MLP of one residual block follows the pooling, since the restricted network lost depth (`mlp: false` is
the paper's `v0`). Which block is the middle one is inferred: `n // 2`, which changes neither the receptive field
nor the number of parameters.
"""

from torch import Tensor, nn

from whole_in_parts.config.backbones.rf_resnet import RFResNetConfig
from whole_in_parts.models.backbones.resnet import ResidualMLP, ResNet


class RFResNet(ResNet):
    """A ResNet of few 3×3 kernels, with an MLP between the pooled and the global representation."""

    def __init__(self, options: RFResNetConfig) -> None:
        super().__init__(options, [kernels(blocks) for blocks in options.blocks])
        self.mlp = ResidualMLP(self.features, options.block) if options.mlp else nn.Identity()

    def whole(self, pooled_BC: Tensor, local_BCNN: Tensor) -> Tensor:
        return self.mlp(pooled_BC)


def kernels(blocks: int) -> list[tuple[int, int]]:
    """The kernel sizes of each block of a stage: (3, 1) in the first and the middle one, else (1, 1)."""
    return [(3, 1) if block in (0, blocks // 2) else (1, 1) for block in range(blocks)]


def build(options: RFResNetConfig) -> RFResNet:
    """An RF-ResNet; its receptive field follows from the strides and the stem (`receptive_field.py`)."""
    return RFResNet(options)
