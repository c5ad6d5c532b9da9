"""How much memory a training took."""

import re
import resource
import sys
from pathlib import Path

import torch

KIBIBYTE = 1024


def peak_memory_mb(device: torch.device) -> float:
    """The most that was held at once, in megabytes: by tensors on an accelerator, else by this process altogether."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return peak_resident_bytes() / 1e6


def peak_resident_bytes() -> int:
    """The most of the main memory that this process had.

    Where Linux tells it, that is its own: `ru_maxrss` begins there at what the parent process had.
    """
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s*(\d+) kB", status.read_text())):
        return int(found[1]) * KIBIBYTE
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else KIBIBYTE)
