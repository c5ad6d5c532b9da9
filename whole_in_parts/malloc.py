"""Keep freed memory in the process for the next batch.

The buffers of a batch exceed the size from which glibc returns memory to the kernel, which clears every page before it
hands it out again: a third of the time that augmentation takes.
"""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 1 << 30


def keep_freed_memory() -> None:
    """Raise glibc's thresholds for returning memory; without glibc, do nothing."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
            libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
