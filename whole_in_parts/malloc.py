"""Keep the memory that a batch frees for the batch that follows.

The buffers of a batch are as large as what glibc gives back to the kernel at once, which has to clear every page
when it is asked for again: a third of the time that views take.
"""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 1 << 30


def keep_freed_memory() -> None:
    """Set glibc's thresholds high; elsewhere, nothing."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
            libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
