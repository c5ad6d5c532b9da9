import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from whole_in_parts.malloc import keep_freed_memory

ROOT = Path(__file__).parents[2]
RESIDENT_AFTER_FREEING = """
import os
import sys
import numpy as np
from whole_in_parts.malloc import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
buffer = np.ones(200 << 17)  # 200 MiB
del buffer
print(int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_freed_memory_stays_with_the_process():
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    kept, given_back = (
        int(subprocess.check_output([sys.executable, "-c", RESIDENT_AFTER_FREEING, choice], env=environment))
        for choice in ("keep", "not")
    )
    assert given_back < 200 < kept


def test_elsewhere_than_on_linux_nothing_is_done(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: pytest.fail("a library is loaded"))
    keep_freed_memory()
