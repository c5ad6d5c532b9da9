"""Compute losses in single precision, independently of the precision of the networks."""

import torch
from torch import Tensor


def to_float32(x: Tensor) -> Tensor:
    """Convert to single precision; double precision stays."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def autocast_disabled(x: Tensor) -> torch.autocast:
    """Return a context without autocast on the device of `x`: matrix products keep the precision of their operands."""
    return torch.autocast(x.device.type, enabled=False)
