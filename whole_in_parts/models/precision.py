"""Losses are computed in single precision, whatever precision the networks compute in."""

import torch
from torch import Tensor


def to_float32(x: Tensor) -> Tensor:
    """The tensor in single precision, or in double if it is double already."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def autocast_disabled(x: Tensor) -> torch.autocast:
    """A context in which matrix products on the device of `x` keep the precision of their operands."""
    return torch.autocast(x.device.type, enabled=False)
