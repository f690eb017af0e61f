"""Medians with intervals that need no distribution, and the rounds that count."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bench import quiet
from bench.pairs import Interval, median_interval


@pytest.mark.parametrize("count", [6, 7, 20, 41, 60])
def test_the_ranks_are_those_of_the_sign_test(count: int) -> None:
    found = median_interval([float(rank) for rank in range(1, count + 1)])
    low = int(found.low)
    assert found.high == count + 1 - low
    # With one rank more on each side the interval would miss the median too often.
    assert 2 * stats.binom.cdf(low - 1, count, 0.5) <= 0.05
    assert 2 * stats.binom.cdf(low, count, 0.5) > 0.05


def test_five_pairs_say_nothing() -> None:
    found = median_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (found.low, found.median, found.high) == (-math.inf, 3.0, math.inf)
    assert found.verdict(1e9) == "too few pairs"


def test_no_pair_says_nothing() -> None:
    assert median_interval([]).verdict(3.0) == "too few pairs"


def test_the_interval_holds_the_median_of_a_skewed_distribution() -> None:
    generator = np.random.default_rng(4)
    rounds = [median_interval(list(generator.exponential(1.0, 25))) for _ in range(2_000)]
    held = sum(each.low <= math.log(2) <= each.high for each in rounds)
    assert held >= 0.94 * len(rounds)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(-1.0, 3.0, "met"), (3.1, 5.0, "missed"), (-3.0, 53.0, "within the interval")],
)
def test_a_verdict_needs_the_whole_interval(low: float, high: float, verdict: str) -> None:
    found = Interval(low=low, median=(low + high) / 2, high=high, count=40)
    assert found.verdict(3.0) == verdict


def test_what_others_work_is_what_is_left() -> None:
    before = quiet.parsed("cpu  100 0 100 1000 0 50 50 0 0 0\ncpu0 1 2 3")
    after = quiet.parsed("cpu  180 10 110 1090 0 55 55 0 0 0\ncpu0 1 2 3")
    found = quiet.shares(before, after, 0.9)
    assert found.others == pytest.approx(0.05)
    assert found.stolen == 0
    assert found.quiet


def test_stolen_time_makes_a_round_loud() -> None:
    before = quiet.parsed("cpu  0 0 0 0 0 0 0 0 0 0")
    after = quiet.parsed("cpu  0 0 0 97 0 0 0 3 0 0")
    found = quiet.shares(before, after, 0.0)
    assert found.stolen == pytest.approx(0.03)
    assert not found.quiet
