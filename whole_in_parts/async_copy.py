"""Copy tensors to an accelerator without waiting for it.

A plain copy blocks until the queued work is done; the accelerator is then idle until the next step is queued.
"""

import torch
from torch import Tensor


def copy_async(x: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor to a device, asynchronously from pinned memory; a tensor on the device is returned unchanged."""
    if device.type == "cuda" and x.device.type == "cpu":
        x = x.pin_memory()
    return x.to(device, non_blocking=True)
