"""BagNet (Brendel & Bethge, 2019, arXiv:1904.00760): a ResNet of bottlenecks that sees an image patch by patch.

The first block of each stage has the stage's one 3×3 kernel, and nothing is padded: a shortcut loses at the lower
right what the branch beside it does. BagNet-33 has the blocks [3, 4, 6, 3] and the strides [2, 2, 2, 1]. The form
that has as many parameters as RF99-ResNet-50 is not specified in the CO-SSL paper; [3, 4, 6, 5] and the MLP of an
RF-ResNet come closest (inferred).
"""

import torch
from torch import Tensor, nn

from whole_in_parts.config.backbones.bagnet import BagNetConfig
from whole_in_parts.models.backbones.resnet import Bottleneck, Residual, ResidualMLP, initialise


class Unpadded(Bottleneck):
    """A bottleneck whose map shrinks by what its kernel needs."""

    def __init__(self, inputs: int, width: int, stride: int, kernels: tuple[int, ...]) -> None:
        super().__init__(inputs, width, stride, kernels)
        self.conv2.padding = (0, 0)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW = self.branch(x_BCHW)
        return torch.relu(y_BCHW + self.downsample(x_BCHW)[:, :, : y_BCHW.shape[2], : y_BCHW.shape[3]])


class BagNet(Residual):
    """A stem of a 1×1 and a 3×3 convolution without a pool, the stages, and an MLP where there is to be one."""

    def __init__(self, options: BagNetConfig) -> None:
        super().__init__(options.mean, options.std)
        self.conv1 = nn.Conv2d(options.channels, options.width, 1, bias=False)
        self.conv2 = nn.Conv2d(options.width, options.width, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(options.width, momentum=0.001)
        self.add_stages(options, Unpadded, [[(3,), *[(1,)] * (blocks - 1)] for blocks in options.blocks])
        self.apply(initialise)
        self.mlp = ResidualMLP(self.features, "bottleneck") if options.mlp else nn.Identity()

    def stem(self, x_BCHW: Tensor) -> Tensor:
        return torch.relu(self.bn1(self.conv2(self.conv1(x_BCHW))))

    def whole(self, pooled_BC: Tensor, local_BCNN: Tensor) -> Tensor:
        return self.mlp(pooled_BC)


def build(options: BagNetConfig) -> BagNet:
    """A BagNet; `strides` has the stride of each stage's first block."""
    return BagNet(options)
