"""The small AlexNet for images of 64 px (Wang & Isola, 2020, arXiv:2005.10242, STL-10).

Five 3×3 convolutions, three pools and two linear layers with batch norm. The global representation is the second
linear layer's ("fc7"), which reads the map position by position: so the size of the images is fixed, and no pooled
representation is on its way.
"""

import torch
from torch import Tensor, nn

from whole_in_parts.config.backbones.alexnet import AlexNetConfig
from whole_in_parts.models.backbone import Backbone

MULTIPLES = (1, 2, 4, 4, 2)
"""The width of each convolution, in multiples of the first one's."""
POOLED = (0, 1, 4)
"""The convolutions that a pool follows."""


class AlexNet(Backbone):
    """A map for each convolution, after its pool if it has one: 192×7×7 is the last one at 64 px."""

    def __init__(self, options: AlexNetConfig) -> None:
        super().__init__(options.mean, options.std)
        self.image_size, self.features = options.image_size, options.features
        self.widths = [options.width * multiple for multiple in MULTIPLES]
        side, blocks = options.image_size, []
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
        """Raises:
        ValueError: the images have another size than the network is for.
        """
        if x_BCHW.shape[2:] != (self.image_size, self.image_size):
            raise ValueError(
                f"backbone.image_size: alexnet is built for {self.image_size} px and is given images of "
                f"{x_BCHW.shape[2]}×{x_BCHW.shape[3]}; its linear layers take that one size"
            )
        maps = []
        for block in self.blocks:
            x_BCHW = block(x_BCHW)
            maps.append(x_BCHW)
        return maps

    def whole(self, pooled_BC: Tensor, local_BCNN: Tensor) -> Tensor:
        return self.fc7(self.fc6(local_BCNN.flatten(1)))


def linear(inputs: int, outputs: int) -> nn.Sequential:
    """A linear layer without bias, batch norm, ReLU."""
    return nn.Sequential(nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU())


@torch.no_grad()
def initialise(module: nn.Module) -> None:
    """All weights from N(0, 0.02), as in the code of Wang & Isola."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.normal_(module.weight, std=0.02)


def build(options: AlexNetConfig) -> AlexNet:
    return AlexNet(options)
