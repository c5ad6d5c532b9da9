"""Copies to an accelerator that nothing waits for: it goes on with what it was told before, and so does this process.

A plain copy waits until the accelerator has nothing left to do, which it then has until the next step is told.
"""

import torch
from torch import Tensor


def copy_async(x: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device; where it is there already, itself."""
    if device.type == "cuda" and x.device.type == "cpu":
        x = x.pin_memory()
    return x.to(device, non_blocking=True)
