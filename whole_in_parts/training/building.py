"""Build the method of a run: backbone, base and modifier."""

from pathlib import Path

import torch

from whole_in_parts.config.runs import Run
from whole_in_parts.methods.base import Method, build_method
from whole_in_parts.models import released, saved_backbone
from whole_in_parts.models.backbone import build_backbone
from whole_in_parts.modifiers.base import apply_modifier


def build(options: Run, classes: int, start: Path | None = None) -> Method:
    """Build the method of a run, initialised from the run's seed.

    Args:
        options: the run.
        classes: the number of classes, for methods that use labels.
        start: the folder of the saved backbone that this one begins with, in place of random weights.

    Raises:
        ValueError: an option does not fit the backbone.
        Failure: the saved backbone cannot be loaded, or is another network.
    """
    torch.manual_seed(options.seed)
    backbone = build_backbone(options.backbone)
    if start:
        saved, _ = saved_backbone.load(start, torch.device("cpu"))
        released.load(backbone.stored, saved.stored.state_dict(), f"{start}: its weights")
    method = build_method(options.method, backbone, classes, options.image_size)
    return apply_modifier(method, options.modifier, options.image_size)
