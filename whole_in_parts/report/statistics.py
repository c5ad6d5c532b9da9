"""Statistics of paired differences over seeds: intervals, verdicts, and how many seeds would decide.

Differences are taken as normal. `interval` is the t interval of their mean; `seeds_needed` follows the power
analysis of Colas et al. (arXiv:1806.08295, section 4).
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from whole_in_parts.config.paper import Between

CONFIDENCE = 0.95
POWER = 0.8
MOST_SEEDS = 1000

Verdict = Literal["supported", "contradicted", "undecided"]


class Interval(NamedTuple):
    """The bounds of a confidence interval."""

    low: float
    high: float


def interval(differences: Sequence[float]) -> Interval | None:
    """Return the 95 % confidence interval of the mean of paired differences; None for fewer than two."""
    if len(differences) < 2:
        return None
    mean = float(np.mean(differences))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(differences) - 1) * stats.sem(differences))
    return Interval(mean - half, mean + half)


def decide(bounds: Interval | None, expected: Between) -> Verdict:
    """Compare an interval with the differences that support a claim.

    It is supported if all of the interval supports it, and contradicted if nothing of it does.
    """
    if bounds is None:
        return "undecided"
    if expected.contains(bounds.low) and expected.contains(bounds.high):
        return "supported"
    if bounds.high < expected.above or bounds.low > expected.below:
        return "contradicted"
    return "undecided"


def seeds_needed(differences: Sequence[float], expected: Between) -> int | None:
    """Return how many paired seeds would decide with a power of 80 % if mean and spread stay as they are.

    The mean has to differ from the nearest bound of what is expected; None for fewer than two differences, or if a
    thousand seeds would not do.
    """
    if len(differences) < 2:
        return None
    mean, spread = float(np.mean(differences)), float(np.std(differences, ddof=1))
    distance = min(abs(mean - bound) for bound in (expected.above, expected.below))
    if spread == 0:
        return 2 if distance else None
    return next((count for count in range(2, MOST_SEEDS + 1) if power(distance / spread, count) >= POWER), None)


def power(effect: float, count: int) -> float:
    """Return the power of a two-sided paired t test of `count` differences for an effect in standard deviations."""
    critical = stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)
    return float(stats.nct.sf(critical, count - 1, effect * math.sqrt(count)))
