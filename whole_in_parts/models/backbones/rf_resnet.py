"""RF-ResNet: a ResNet whose local representations have a restricted receptive field (CO-SSL, section 3.2).

In every stage the first convolution of the first block and of the middle block stays 3×3; every other 3×3 becomes 1×1.
An MLP of one residual block follows the pooling to make up for the lost depth (`mlp: false` is the paper's `v0`). The
middle block is inferred as number `n // 2`; this choice changes neither the receptive field nor the number of
parameters.
"""

from torch import Tensor, nn

from whole_in_parts.config.backbones.rf_resnet import RFResNetConfig
from whole_in_parts.models.backbones.resnet import ResidualMLP, ResNet


class RFResNet(ResNet):
    """A ResNet with few 3×3 kernels, and an MLP between the pooled and the global representation."""

    def __init__(self, options: RFResNetConfig) -> None:
        super().__init__(options, [kernels(blocks) for blocks in options.blocks])
        self.mlp = ResidualMLP(self.features, options.block) if options.mlp else nn.Identity()

    def global_features(self, pooled_BC: Tensor, local_BCNN: Tensor) -> Tensor:
        return self.mlp(pooled_BC)


def kernels(blocks: int) -> list[tuple[int, int]]:
    """List the kernel sizes of the blocks of a stage: (3, 1) in the first and the middle block, else (1, 1)."""
    return [(3, 1) if block in (0, blocks // 2) else (1, 1) for block in range(blocks)]


def build(options: RFResNetConfig) -> RFResNet:
    """Build an RF-ResNet; `receptive_field.py` computes its receptive field from the strides and the stem."""
    return RFResNet(options)
