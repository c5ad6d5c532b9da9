"""Build the method of a run: backbone, base and modifier."""

import torch

from whole_in_parts.config.runs import Run
from whole_in_parts.methods.base import Method, build_method
from whole_in_parts.models.backbone import build_backbone
from whole_in_parts.modifiers.base import apply_modifier


def build(options: Run, classes: int) -> Method:
    """Build the method of a run, initialised from the run's seed.

    Raises:
        ValueError: an option does not fit the backbone.
    """
    torch.manual_seed(options.seed)
    backbone = build_backbone(options.backbone)
    method = build_method(options.method, backbone, classes, options.image_size)
    return apply_modifier(method, options.modifier, options.image_size)
