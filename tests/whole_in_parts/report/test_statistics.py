"""Intervals cover what they say, verdicts follow from them, and as many seeds decide as are said to."""

import numpy as np
import pytest

from whole_in_parts.config.paper import Between
from whole_in_parts.report.statistics import Interval, decide, interval, power, seeds_needed

TRIALS = 4000


@pytest.mark.parametrize("seeds", [3, 8])
def test_intervals_of_three_and_of_eight_seeds_cover_the_mean_in_95_of_100_studies(seeds):
    differences = np.random.default_rng(seeds).normal(1.5, 2.0, (TRIALS, seeds))
    covered = sum(bounds.low < 1.5 < bounds.high for row in differences if (bounds := interval(row.tolist())))
    # Four standard deviations of a share of 0.95 in so many trials.
    assert abs(covered / TRIALS - 0.95) < 4 * (0.95 * 0.05 / TRIALS) ** 0.5


def test_an_interval_is_that_of_the_t_distribution():
    # 1, 2, 3: mean 2, standard error 1 / sqrt(3), and t of 2 degrees of freedom at 97.5 % is 4.3027.
    assert interval([1.0, 2.0, 3.0]) == pytest.approx((2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), abs=1e-4)
    assert interval([1.0]) is None


@pytest.mark.parametrize(
    ("bounds", "expected", "verdict"),
    [
        (Interval(0.1, 2), Between(above=0), "supported"),
        (Interval(-2, -0.1), Between(above=0), "contradicted"),
        (Interval(-0.1, 2), Between(above=0), "undecided"),
        (Interval(-2, -0.1), Between(below=0), "supported"),
        (Interval(-0.5, 0.7), Between(above=-1, below=1), "supported"),
        (Interval(1.1, 1.7), Between(above=-1, below=1), "contradicted"),
        (Interval(0.5, 1.7), Between(above=-1, below=1), "undecided"),
        (Interval(0, 0), Between(above=0), "undecided"),
        (None, Between(above=0), "undecided"),
    ],
)
def test_a_claim_is_supported_by_a_whole_interval_and_contradicted_by_none_of_it(bounds, expected, verdict):
    assert decide(bounds, expected) == verdict


def test_so_many_seeds_decide_in_80_of_100_studies():
    differences = [-0.5, 0.5, 1.0, 1.4]
    count = seeds_needed(differences, Between(above=0))
    effect = np.mean(differences) / np.std(differences, ddof=1)
    assert power(effect, count) >= 0.8 > power(effect, count - 1)

    studies = np.random.default_rng(0).normal(effect, 1, (TRIALS, count))
    decided = np.mean([decide(interval(row.tolist()), Between(above=0)) == "supported" for row in studies])
    assert decided == pytest.approx(power(effect, count), abs=0.03)


def test_no_number_of_seeds_decides_without_a_difference_or_from_one_seed():
    assert seeds_needed([-1.0, 1.0], Between(above=0)) is None
    assert seeds_needed([1.0], Between(above=0)) is None
    assert seeds_needed([0.0, 0.0, 0.0], Between(above=0)) is None
    assert seeds_needed([1.0, 1.0, 1.0], Between(above=0)) == 2
