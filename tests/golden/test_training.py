"""Every method with every modifier trains as it did: the first losses are the committed ones."""

import json
import math

import pytest

from tests.golden.training import LOSSES, STEPS, losses

GOLDEN = json.loads(LOSSES.read_text())
RECORDED = sorted({tuple(row.split()[:2]) for row in GOLDEN})
ROUNDING = 1e-6
"""What processors and numbers of threads differ by after so many steps, with a margin (docs/margins.md)."""


@pytest.mark.parametrize(("name", "modifier"), RECORDED, ids=lambda value: value)
def test_the_first_losses_are_the_committed_ones(name, modifier):
    found = {f"{name} {modifier} {term}": values for term, values in losses(name, modifier).items()}
    assert found.keys() == {row for row in GOLDEN if row.startswith(f"{name} {modifier} ")}
    for row, values in found.items():
        assert values == pytest.approx(GOLDEN[row], rel=ROUNDING, abs=ROUNDING), row


def test_the_committed_losses_are_of_all_steps_finite_and_change():
    assert all(len(values) == STEPS for values in GOLDEN.values())
    assert all(math.isfinite(value) for values in GOLDEN.values() for value in values)
    assert all(len(set(values)) > STEPS // 2 for values in GOLDEN.values())
