"""The receptive field of a local representation, by the formula 1 + Σ (kernel − 1) · jump (CO-SSL, appendix B.1)."""

from torch import nn

from whole_in_parts.models.backbone import Backbone


def receptive_field(backbone: Backbone) -> tuple[int, int] | None:
    """The receptive field and the total stride, in pixels, along the longest path: shortcuts are left out.

    None for a network whose modules are no such path: each position of a transformer sees the whole image.
    """
    if not backbone.convolutional:
        return None
    size, jump = 1, 1
    for name, module in backbone.named_modules():
        if isinstance(module, nn.Conv2d | nn.MaxPool2d) and "downsample" not in name:
            kernel, stride = (
                extent[0] if isinstance(extent, tuple) else extent for extent in (module.kernel_size, module.stride)
            )
            size += (kernel - 1) * jump
            jump *= stride
    return size, jump
