"""The receptive field of a local representation: 1 + Σ (kernel − 1) · jump (CO-SSL, appendix B.1)."""

from torch import nn

from whole_in_parts.models.backbone import Backbone


def receptive_field(backbone: Backbone) -> tuple[int, int] | None:
    """Compute the receptive field and the total stride, in pixels, along the longest path, without shortcuts.

    Return None if the network is not such a path, as a transformer, whose positions attend to the whole image.
    """
    if not backbone.convolutional:
        return None

    size = 1
    jump = 1
    for name, module in backbone.named_modules():
        if isinstance(module, nn.Conv2d | nn.MaxPool2d) and "downsample" not in name:
            kernel, stride = (
                extent[0] if isinstance(extent, tuple) else extent for extent in (module.kernel_size, module.stride)
            )
            size += (kernel - 1) * jump
            jump *= stride
    return size, jump
