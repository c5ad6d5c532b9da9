"""Count the parameters of a backbone and the multiply-adds (MAC) of one image."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from whole_in_parts.models.backbone import Backbone


def parameters(backbone: Backbone) -> int:
    """Count the parameters."""
    return sum(parameter.numel() for parameter in backbone.parameters())


def multiply_adds(backbone: Backbone, image_size: int) -> int:
    """Count the multiply-adds of convolutions, matrix products and attention in a forward pass, but not those of norms.

    Raises:
        ValueError: the backbone does not accept images of that size.
    """
    meta_backbone = backbone.meta_copy()
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        meta_backbone(torch.empty(1, backbone.mean.shape[1], image_size, image_size))
    return counter.get_total_flops() // 2
