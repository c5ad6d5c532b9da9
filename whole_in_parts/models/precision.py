"""Compute networks in the precision that is asked for, and losses in single precision."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from whole_in_parts.config.precision import Precision


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which networks compute in bfloat16; for float32, one that changes nothing."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext()


def to_float32(x: Tensor) -> Tensor:
    """Convert to single precision; double precision stays."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def autocast_disabled(x: Tensor) -> torch.autocast:
    """Return a context without autocast on the device of `x`: matrix products keep the precision of their operands."""
    return torch.autocast(x.device.type, enabled=False)
