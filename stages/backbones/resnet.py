"""ResNet (He et al., 2016, arXiv:1512.03385) of any depth and width, for large images and for small ones.

Its modules are named as in torchvision and timm, so that the weights of a shape they know load there too.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stages.backbones import Backbone


class Basic(nn.Module):
    """Two convolutions of the given kernel sizes, of which the first strides, beside a shortcut."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, kernels: Sequence[int]):
        super().__init__()
        self.conv1 = convolution(inputs, width, kernels[0], stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = convolution(width, width, kernels[1])
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut(inputs, width, stride)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW = torch.relu(self.bn1(self.conv1(x_BCHW)))
        y_BCHW = self.bn2(self.conv2(y_BCHW))
        return torch.relu(y_BCHW + self.downsample(x_BCHW))


class Bottleneck(nn.Module):
    """1×1, k×k (which strides) and 1×1 convolutions beside a shortcut; four times as wide at the end."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, kernels: Sequence[int]):
        super().__init__()
        self.conv1 = convolution(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = convolution(width, width, kernels[0], stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = convolution(width, width * self.expansion, 1)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.downsample = shortcut(inputs, width * self.expansion, stride)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW = torch.relu(self.bn1(self.conv1(x_BCHW)))
        y_BCHW = torch.relu(self.bn2(self.conv2(y_BCHW)))
        y_BCHW = self.bn3(self.conv3(y_BCHW))
        return torch.relu(y_BCHW + self.downsample(x_BCHW))


BLOCKS: dict[str, type[Basic] | type[Bottleneck]] = {"basic": Basic, "bottleneck": Bottleneck}


class ResNet(Backbone):
    """A stem, stages of residual blocks, and the mean over positions as the global representation."""

    def __init__(self, options, kernels: Sequence[Sequence[Sequence[int]]]):
        """`kernels`: for each stage, for each of its blocks, the sizes of the block's kernels."""
        super().__init__(options.mean, options.std)
        block = BLOCKS[options.block]
        stem, width = options.stem, options.width
        self.conv1 = convolution(options.channels, width, stem.kernel, stem.stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if stem.pool else nn.Identity()
        self.stages, inputs = [], width
        for number, (stride, sizes) in enumerate(zip(options.strides, kernels, strict=True)):
            strides = [stride] + [1] * (len(sizes) - 1)
            blocks = []
            for block_stride, block_sizes in zip(strides, sizes, strict=True):
                blocks.append(block(inputs, width << number, block_stride, block_sizes))
                inputs = (width << number) * block.expansion
            self.stages.append(f"layer{number + 1}")
            self.add_module(self.stages[-1], nn.Sequential(*blocks))
        self.features = self.local_features = inputs
        self.apply(initialise)

    def local(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = self.maxpool(torch.relu(self.bn1(self.conv1(x_BCHW))))
        for stage in self.stages:
            x_BCHW = self.get_submodule(stage)(x_BCHW)
        return x_BCHW


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias that changes the size of the map by its stride alone."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """The identity where the shapes agree, else a strided 1×1 convolution with its norm."""
    if inputs == outputs and stride == 1:
        return nn.Identity()
    return nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


def initialise(module: nn.Module) -> None:
    """He's normal initialisation of the convolutions, by fan-out."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def build(options) -> ResNet:
    """A ResNet in which every block has 3×3 kernels."""
    return ResNet(options, [[(3, 3)] * blocks for blocks in options.blocks])
