"""Welch's test against gbstats, on means and on rates."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fairlead_operator.stats.aggregates import Binary, Moments
from fairlead_operator.stats.means import mean_interval, welch
from tests.unit.stats.known import case

samples = st.lists(st.integers(-1000, 1000), min_size=2, max_size=40)


def test_welch_equals_gbstats() -> None:
    inputs, expected = case("means", "gb_welch")
    arms = []
    for arm in ("a", "b"):
        n, mean, variance = (inputs[f"{what}_{arm}"] for what in ("n", "mean", "var"))
        arms.append(Moments(n, n * mean, variance * (n - 1) + n * mean**2))
    control, treatment = arms
    test = welch(control, treatment)
    assert test.difference is not None
    assert test.interval is not None
    assert test.difference.value == pytest.approx(expected["expected"], rel=1e-9)
    assert test.p_value == pytest.approx(expected["p_value"], rel=1e-9)
    assert [test.interval.low, test.interval.high] == pytest.approx(expected["ci"], rel=1e-9)
    # The figures of the reference study, to its digits.
    assert test.t == pytest.approx(2.465985, abs=5e-7)
    assert test.degrees == pytest.approx(1679.1015, abs=5e-5)


def test_welch_of_rates_equals_gbstats_up_to_its_variance() -> None:
    """gbstats takes p(1-p) where the sample variance has n/(n-1) of it: 2e-3 of the p-value."""
    inputs, expected = case("proportions", "gb_ttest_prop_absolute")
    control = Binary(inputs["n_a"], inputs["x_a"]).moments()
    treatment = Binary(inputs["n_b"], inputs["x_b"]).moments()
    test = welch(control, treatment)
    assert test.interval is not None
    assert [test.interval.low, test.interval.high] == pytest.approx(expected["ci"], rel=1e-3)
    assert test.p_value == pytest.approx(expected["p_value"], rel=3e-3)


@given(samples, samples)
def test_swapping_the_arms_turns_the_sign(left: list[int], right: list[int]) -> None:
    there = welch(Moments.of(left), Moments.of(right))
    back = welch(Moments.of(right), Moments.of(left))
    assume(there.t is not None and back.t is not None)
    assert there.t == pytest.approx(-back.t, abs=1e-12)  # type: ignore[operator]  # assumed above
    assert there.p_value == pytest.approx(back.p_value, rel=1e-9)
    assert there.degrees == pytest.approx(back.degrees, rel=1e-9)


@given(samples, samples, st.integers(-1000, 1000), st.integers(1, 100))
def test_unit_and_offset_do_not_change_the_test(
    left: list[int], right: list[int], offset: int, factor: int
) -> None:
    plain = welch(Moments.of(left), Moments.of(right))
    moved = welch(
        Moments.of(offset + factor * value for value in left),
        Moments.of(offset + factor * value for value in right),
    )
    assert (moved.p_value is None) == (plain.p_value is None)
    if plain.p_value is not None:
        assert moved.p_value == pytest.approx(plain.p_value, rel=1e-9)


@given(samples, samples)
def test_degrees_lie_between_the_smaller_arm_and_both(left: list[int], right: list[int]) -> None:
    test = welch(Moments.of(left), Moments.of(right))
    assume(test.degrees is not None)
    low, high = min(len(left), len(right)) - 1, len(left) + len(right) - 2
    assert test.degrees is not None
    assert low - 1e-9 <= test.degrees <= high + 1e-9


def test_undefined_tests_are_none() -> None:
    assert welch(Moments.of([1.0]), Moments.of([1.0, 2.0])).difference is None
    constant = welch(Moments.of([1.0, 1.0]), Moments.of([2.0, 2.0]))
    assert constant.difference is not None
    assert constant.difference.value == 1
    assert constant.interval is None
    assert (constant.p_value, constant.t, constant.degrees) == (None, None, None)
    assert mean_interval(Moments.of([1.0])) is None


def test_a_mean_has_students_interval() -> None:
    """Of 1..5: 3 +- 2.776 * sqrt(2.5/5), the quantile from any table."""
    interval = mean_interval(Moments.of([1, 2, 3, 4, 5]))
    assert interval is not None
    assert interval.high - 3 == pytest.approx(2.776445 * 0.5**0.5, rel=1e-6)
