"""Sums that add up: merged parts equal the whole."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead_operator.stats.aggregates import Binary, Estimate, Interval, Moments, difference
from fairlead_operator.stats.histogram import Histogram
from tests.unit.stats.known import case

binaries = st.integers(0, 10**7).flatmap(
    lambda n: st.integers(0, n).map(lambda x: Binary(count=n, successes=x))
)
values = st.lists(st.integers(-(10**6), 10**6), max_size=30)


@given(values, values)
def test_merged_moments_are_those_of_all_values(left: list[int], right: list[int]) -> None:
    merged = Moments.of(left) + Moments.of(right)
    assert merged == Moments.of(left + right)
    if len(left) + len(right) > 1:
        assert merged.variance == pytest.approx(np.var(left + right, ddof=1), rel=1e-9, abs=1e-9)


@given(binaries, binaries, binaries)
def test_the_order_of_merging_does_not_matter(a: Binary, b: Binary, c: Binary) -> None:
    assert (a + b) + c == a + (b + c) == (c + b) + a
    assert a + Binary() == a


def test_merged_moments_equal_chans_formula() -> None:
    inputs, expected = case("means", "chan_merge")
    merged = Moments()
    for n, mean, m2 in inputs["parts"]:
        merged += Moments(n, n * mean, m2 + n * mean**2)
    assert merged.count == expected["n"]
    assert merged.variance == pytest.approx(expected["var_ddof1"], rel=1e-9)


def test_a_variance_far_from_zero_keeps_its_digits() -> None:
    exact = [10**9 + offset for offset in (0, 1, 2, 3)]
    aggregate = Moments(4, sum(exact), sum(value * value for value in exact))
    assert aggregate.variance == pytest.approx(5 / 3, rel=1e-12)


def test_a_rate_is_the_mean_of_zeros_and_ones() -> None:
    arm = Binary(2000, 120)
    moments, estimate = arm.moments(), arm.estimate()
    assert moments.mean == arm.rate == 0.06
    assert moments.variance is not None
    assert estimate is not None
    assert moments.variance * 1999 / 2000 == pytest.approx(estimate.standard_error**2 * 2000)


def test_nothing_counted_has_no_rate_mean_or_estimate() -> None:
    assert Binary().rate is None
    assert Binary().estimate() is None
    assert Moments().mean is None
    assert Moments.of([3.0]).estimate() is None
    assert difference(None, Estimate(1, 1)) is None


@pytest.mark.parametrize(
    ("count", "successes"), [(-1, 0), (1, 2), (3, -1)], ids=["negative", "too many", "below 0"]
)
def test_impossible_counts_are_refused(count: int, successes: int) -> None:
    with pytest.raises(ValueError, match="successes must lie between 0 and the count"):
        Binary(count, successes)


@pytest.mark.parametrize(
    ("moments", "words"),
    [((-1, 0, 0), "negative"), ((2, math.nan, 1), "finite"), ((0, 1, 1), "no units, but a sum")],
    ids=["count", "nan", "sum of nobody"],
)
def test_impossible_sums_are_refused(moments: tuple[int, float, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Moments(*moments)


@pytest.mark.parametrize("pair", [(math.inf, 1), (0, -1)], ids=["infinite", "negative error"])
def test_impossible_estimates_are_refused(pair: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"estimate|standard error"):
        Estimate(*pair)


def test_an_interval_knows_what_lies_in_it() -> None:
    assert 0.5 in Interval(0, 1)
    assert 2 not in Interval(0, 1)
    assert Interval(1, 3).width == 2


HISTOGRAM = Histogram.from_cumulative((0.01, 0.05, 0.06, 0.1), (500, 900, 980, 995, 1000))


def test_a_limit_on_an_edge_is_counted_exactly() -> None:
    above = HISTOGRAM.above(0.06)
    assert above.surely == above.possibly == Binary(1000, 20)
    assert above.edges == Interval(0.06, 0.06)


@pytest.mark.parametrize(
    ("limit", "surely", "possibly"),
    [(0.07, 5, 20), (0.001, 500, 1000), (0.2, 0, 5)],
    ids=["between", "below all edges", "above all edges"],
)
def test_a_limit_between_edges_is_counted_from_both_sides(
    limit: float, surely: int, possibly: int
) -> None:
    above = HISTOGRAM.above(limit)
    assert (above.surely.successes, above.possibly.successes) == (surely, possibly)
    assert limit in above.edges


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=50), st.floats(0.001, 1))
def test_the_bounds_of_a_share_hold_the_true_one(values: list[float], limit: float) -> None:
    edges = HISTOGRAM.edges
    counts = np.bincount(np.searchsorted(edges, values), minlength=5)
    above = Histogram(edges, tuple(int(count) for count in counts)).above(limit)
    truth = sum(value > limit for value in values)
    assert above.surely.successes <= truth <= above.possibly.successes


@pytest.mark.parametrize(
    ("share", "bounds"),
    [(0.5, (-math.inf, 0.01)), (0.51, (0.01, 0.05)), (0.99, (0.06, 0.1)), (0.999, (0.1, math.inf))],
)
def test_a_quantile_is_known_up_to_its_bucket(share: float, bounds: tuple[float, float]) -> None:
    assert HISTOGRAM.quantile_bounds(share) == Interval(*bounds)


def test_histograms_add_up_and_an_empty_one_has_no_quantile() -> None:
    assert (HISTOGRAM + HISTOGRAM).above(0.06).surely == Binary(2000, 40)
    assert Histogram((1.0,), (0, 0)).quantile_bounds(0.99) is None


@pytest.mark.parametrize(
    ("edges", "counts", "words"),
    [
        ((1.0, 1.0), (0, 0, 0), "must rise"),
        ((1.0,), (1,), "make 2 buckets"),
        ((1.0,), (1, -1), "reset"),
        ((math.inf,), (1, 1), "finite"),
    ],
)
def test_impossible_histograms_are_refused(
    edges: tuple[float, ...], counts: tuple[int, ...], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Histogram(edges, counts)


def test_histograms_of_different_buckets_are_not_added() -> None:
    with pytest.raises(ValueError, match="different bucket edges"):
        HISTOGRAM + Histogram((1.0,), (1, 1))
