"""What a backbone costs: its parameters, and the multiply-adds (MAC) of one image."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from whole_in_parts.models.backbone import Backbone


def parameters(backbone: Backbone) -> int:
    return sum(parameter.numel() for parameter in backbone.parameters())


def multiply_adds(backbone: Backbone, image_size: int) -> int:
    """The multiply-adds of convolutions, matrix products and attention in one forward pass; norms count nothing.

    Raises:
        ValueError: the backbone does not take images of that size.
    """
    dry = backbone.dry()
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        dry(torch.empty(1, backbone.mean.shape[1], image_size, image_size))
    return counter.get_total_flops() // 2
