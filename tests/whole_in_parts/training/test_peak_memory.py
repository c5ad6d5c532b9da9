import subprocess
import sys

import pytest

PROGRAM = """
import torch
from whole_in_parts.training.peak_memory import peak_memory_mb
cpu = torch.device("cpu")
before = peak_memory_mb(cpu)
torch.ones({megabytes} * 250_000)
print(before, peak_memory_mb(cpu))
"""


@pytest.mark.parametrize("megabytes", [200, 400])
def test_the_peak_has_what_was_given_back_already(root, megabytes):
    printed = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(megabytes=megabytes)],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    before, after = map(float, printed.split())
    assert 50 < before < 2000
    assert after - before == pytest.approx(megabytes, abs=20)
