"""The small AlexNet for images of 64 px (Wang & Isola, 2020, arXiv:2005.10242, STL-10).

Five 3×3 convolutions, three pools and two linear layers with batch norm. The global representation is the output of the
second linear layer ("fc7"). The linear layers read the flattened map and not the pooled representation, so the image
size is fixed.
"""

import torch
from torch import Tensor, nn

from whole_in_parts.config.backbones.alexnet import AlexNetConfig
from whole_in_parts.models.backbone import Backbone

MULTIPLES = (1, 2, 4, 4, 2)
"""The widths of the convolutions, in multiples of the first width."""

POOLED = (0, 1, 4)
"""The indices of the convolutions that a pool follows."""


class AlexNet(Backbone):
    """Give a map per convolution, after its pool if there is one; with width 96, the last map is 192×7×7 at 64 px."""

    def __init__(self, options: AlexNetConfig) -> None:
        super().__init__(options.mean, options.std)
        self.image_size = options.image_size
        self.features = options.features
        self.widths = [options.width * multiple for multiple in MULTIPLES]

        side = options.image_size
        blocks = []
        for number, (inputs, outputs) in enumerate(zip([options.channels, *self.widths], self.widths, strict=False)):
            block = [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
            if number in POOLED:
                block.append(nn.MaxPool2d(3, 2))
                side = (side - 1) // 2
            blocks.append(nn.Sequential(*block))

        self.blocks = nn.ModuleList(blocks)
        self.fc6 = linear(self.local_features * side**2, self.features)
        self.fc7 = linear(self.features, self.features)
        self.apply(initialise)

    def maps(self, x_BCHW: Tensor) -> list[Tensor]:
        """Compute the map of every convolution.

        Raises:
            ValueError: the images do not have the size that the network is built for.
        """
        if x_BCHW.shape[2:] != (self.image_size, self.image_size):
            raise ValueError(
                f"backbone.image_size: alexnet is built for {self.image_size} px and cannot take images of "
                f"{x_BCHW.shape[2]}×{x_BCHW.shape[3]}, since its linear layers have a fixed input size"
            )

        maps = []
        for block in self.blocks:
            x_BCHW = block(x_BCHW)
            maps.append(x_BCHW)
        return maps

    def global_features(self, pooled_BC: Tensor, local_BCNN: Tensor) -> Tensor:
        return self.fc7(self.fc6(local_BCNN.flatten(1)))


def linear(inputs: int, outputs: int) -> nn.Sequential:
    """Build a linear layer without bias, batch norm and ReLU."""
    return nn.Sequential(nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU())


@torch.no_grad()
def initialise(module: nn.Module) -> None:
    """Draw all weights from N(0, 0.02²), as the code of Wang & Isola does."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.normal_(module.weight, std=0.02)


def build(options: AlexNetConfig) -> AlexNet:
    """Build a small AlexNet."""
    return AlexNet(options)
