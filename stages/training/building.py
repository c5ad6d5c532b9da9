"""The method that a run trains: its base on its backbone, with its modifier."""

import torch

from stages import backbones, methods, modifiers
from stages.methods import Method
from stages.study.runs import Run


def build(options: Run, classes: int) -> Method:
    """The method of a run with its modifier, initialised from the run's seed.

    Raises:
        ValueError: an option does not go with the backbone.
    """
    torch.manual_seed(options.seed)
    backbone = backbones.build(options.backbone)
    method = methods.build(options.method, backbone, classes, options.image_size)
    return modifiers.modify(method, options.modifier, options.image_size)
