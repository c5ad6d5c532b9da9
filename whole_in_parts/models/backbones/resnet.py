"""ResNet (He et al., 2016, arXiv:1512.03385) of any depth and width, for large and for small images.

Modules are named as in torchvision and timm, so that weights of a shape they have load there, too.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from whole_in_parts.config.backbone import StagedBackboneConfig
from whole_in_parts.config.backbones.resnet import ResNetConfig
from whole_in_parts.models.backbone import Backbone


class Block(nn.Module):
    """A residual block: the sum of `branch`, which a subclass implements, and a shortcut."""

    expansion: int
    downsample: nn.Module

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return torch.relu_(self.branch(x_BCHW).add_(self.downsample(x_BCHW)))

    def branch(self, x_BCHW: Tensor) -> Tensor:
        """Compute the residual branch, before the sum and the activation."""
        raise NotImplementedError


class Basic(Block):
    """Two convolutions with the given kernel sizes; the first has the stride."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, kernels: Sequence[int]) -> None:
        super().__init__()
        self.conv1 = convolution(inputs, width, kernels[0], stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = convolution(width, width, kernels[1])
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut(inputs, width, stride)

    def branch(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = torch.relu_(self.bn1(self.conv1(x_BCHW)))
        return self.bn2(self.conv2(x_BCHW))


class Bottleneck(Block):
    """1×1, k×k (with the stride) and 1×1 convolutions; the output is four times as wide."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, kernels: Sequence[int]) -> None:
        super().__init__()
        self.conv1 = convolution(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = convolution(width, width, kernels[0], stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = convolution(width, width * self.expansion, 1)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.downsample = shortcut(inputs, width * self.expansion, stride)

    def branch(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = torch.relu_(self.bn1(self.conv1(x_BCHW)))
        x_BCHW = torch.relu_(self.bn2(self.conv2(x_BCHW)))
        return self.bn3(self.conv3(x_BCHW))


BLOCKS: dict[str, type[Basic] | type[Bottleneck]] = {"basic": Basic, "bottleneck": Bottleneck}


class Residual(Backbone):
    """Stages of residual blocks, with a map per stage; a subclass adds the stem."""

    def add_stages(
        self,
        options: StagedBackboneConfig,
        block: type[Basic] | type[Bottleneck],
        kernels: Sequence[Sequence[Sequence[int]]],
    ) -> None:
        """Add the stages as `layer1`, `layer2`, …; `kernels` has the kernel sizes per stage and block."""
        inputs = options.width
        self.stages = []
        self.widths = []
        for number, (stride, sizes) in enumerate(zip(options.strides, kernels, strict=True)):
            strides = [stride] + [1] * (len(sizes) - 1)
            blocks = []
            for block_stride, block_sizes in zip(strides, sizes, strict=True):
                blocks.append(block(inputs, options.width << number, block_stride, block_sizes))
                inputs = (options.width << number) * block.expansion

            self.stages.append(f"layer{number + 1}")
            self.widths.append(inputs)
            self.add_module(self.stages[-1], nn.Sequential(*blocks))
        self.features = inputs

    def stem(self, x_BCHW: Tensor) -> Tensor:
        """Compute the input of the first stage."""
        raise NotImplementedError

    def maps(self, x_BCHW: Tensor) -> list[Tensor]:
        x_BCHW = self.stem(x_BCHW)
        maps = []
        for stage in self.stages:
            x_BCHW = self.get_submodule(stage)(x_BCHW)
            maps.append(x_BCHW)
        return maps


class ResNet(Residual):
    """A ResNet whose global representation is the mean over positions."""

    def __init__(self, options: ResNetConfig, kernels: Sequence[Sequence[Sequence[int]]]) -> None:
        super().__init__(options.mean, options.std)
        stem = options.stem
        self.conv1 = convolution(options.channels, options.width, stem.kernel, stem.stride, stem.padding)
        self.bn1 = nn.BatchNorm2d(options.width)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if stem.pool else nn.Identity()
        self.add_stages(options, BLOCKS[options.block], kernels)
        self.apply(initialise)

    def stem(self, x_BCHW: Tensor) -> Tensor:
        return self.maxpool(torch.relu_(self.bn1(self.conv1(x_BCHW))))


class ResidualMLP(nn.Module):
    """A residual block on vectors (B, C), with linear layers in place of convolutions.

    It follows the pooling of networks that lost depth to a restricted receptive field (CO-SSL, section 3.2).
    """

    def __init__(self, features: int, block: str) -> None:
        super().__init__()
        narrow = [features // 4] * 2 if block == "bottleneck" else [features]
        layers: list[nn.Module] = []
        for inputs, outputs in zip([features, *narrow], [*narrow, features], strict=True):
            layers += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x_BC: Tensor) -> Tensor:
        return torch.relu(x_BC + self.layers(x_BC))


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int | None = None) -> nn.Conv2d:
    """Build a convolution without bias; by default it is padded so that only its stride changes the size of the map."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2 if padding is None else padding, bias=False)


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Build the identity if the shapes agree, else a strided 1×1 convolution with batch norm."""
    if inputs == outputs and stride == 1:
        return nn.Identity()
    return nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


def initialise(module: nn.Module) -> None:
    """Initialise convolutions by He's normal distribution, with fan-out."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def build(options: ResNetConfig) -> ResNet:
    """Build a ResNet whose blocks have 3×3 kernels."""
    return ResNet(options, [[(3, 3)] * blocks for blocks in options.blocks])
