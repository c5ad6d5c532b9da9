"""BagNet (Brendel & Bethge, 2019, arXiv:1904.00760): a ResNet of bottlenecks with a small receptive field.

The first block of a stage has the only 3×3 kernel of the stage, and no convolution is padded, so a shortcut is cropped
at the lower right to the size of its branch. BagNet-33 has the blocks [3, 4, 6, 3] and the strides [2, 2, 2, 1]. The
CO-SSL paper does not specify its BagNet with as many parameters as RF99-ResNet-50; [3, 4, 6, 5] and the MLP of an
RF-ResNet come closest (inferred).
"""

import torch
from torch import Tensor, nn

from whole_in_parts.config.backbones.bagnet import BagNetConfig
from whole_in_parts.models.backbones.resnet import Bottleneck, Residual, ResidualMLP, initialise


class UnpaddedBottleneck(Bottleneck):
    """A bottleneck without padding, which crops the shortcut to the size of the branch."""

    def __init__(self, inputs: int, width: int, stride: int, kernels: tuple[int, ...]) -> None:
        super().__init__(inputs, width, stride, kernels)
        self.conv2.padding = (0, 0)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW = self.branch(x_BCHW)
        return torch.relu_(y_BCHW.add_(self.downsample(x_BCHW)[:, :, : y_BCHW.shape[2], : y_BCHW.shape[3]]))


class BagNet(Residual):
    """A stem of a 1×1 and a 3×3 convolution without a pool, the stages, and an optional MLP."""

    def __init__(self, options: BagNetConfig) -> None:
        super().__init__(options.mean, options.std)
        self.conv1 = nn.Conv2d(options.channels, options.width, 1, bias=False)
        self.conv2 = nn.Conv2d(options.width, options.width, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(options.width, momentum=0.001)
        self.add_stages(options, UnpaddedBottleneck, [[(3,), *[(1,)] * (blocks - 1)] for blocks in options.blocks])
        self.apply(initialise)
        self.mlp = ResidualMLP(self.features, "bottleneck") if options.mlp else nn.Identity()

    def stem(self, x_BCHW: Tensor) -> Tensor:
        return torch.relu_(self.bn1(self.conv2(self.conv1(x_BCHW))))

    def global_features(self, pooled_BC: Tensor, local_BCNN: Tensor) -> Tensor:
        return self.mlp(pooled_BC)


def build(options: BagNetConfig) -> BagNet:
    """Build a BagNet; `strides` has the stride of the first block of every stage."""
    return BagNet(options)
