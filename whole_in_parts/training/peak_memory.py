"""The peak memory of a training."""

import re
import resource
import sys
from pathlib import Path

import torch

KIBIBYTE = 1024


def peak_memory_mb(device: torch.device) -> float:
    """The peak memory in megabytes: of tensors on a GPU, or else of the whole process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return peak_resident_bytes() / 1e6


def peak_resident_bytes() -> int:
    """The peak resident memory of this process, in bytes.

    Linux has it in `/proc`; `ru_maxrss` would start there at the peak of the parent process.
    """
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s*(\d+) kB", status.read_text())):
        return int(found[1]) * KIBIBYTE
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else KIBIBYTE)
