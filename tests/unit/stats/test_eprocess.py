"""Evidence against limits: exact expectations, monotony, and bounds that mirror the tests."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fairlead_operator.stats.aggregates import Binary
from fairlead_operator.stats.eprocess import (
    Events,
    against_control,
    against_limit,
    log_e_values,
    rate_bounds,
    rate_ratio_bounds,
)
from tests.searching import searches

counted = st.integers(0, 20_000).flatmap(
    lambda n: st.integers(0, n).map(lambda x: Binary(count=n, successes=x))
)
limits = st.floats(0.001, 0.9)
events = st.builds(
    Events,
    control=st.integers(0, 2000),
    treatment=st.integers(0, 2000),
    control_share=st.integers(1, 99),
    treatment_share=st.integers(1, 99),
)


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.3])
@pytest.mark.parametrize("n", [1, 7, 60])
def test_the_expectation_at_the_limit_is_exactly_one_and_less_below(rate: float, n: int) -> None:
    """Summed over all outcomes, with the binomial's own probabilities: no simulation."""

    def expectation(truth: float) -> float:
        return math.fsum(
            math.comb(n, x)
            * truth**x
            * (1 - truth) ** (n - x)
            * math.exp(against_limit(Binary(n, x), rate).log_e)
            for x in range(n + 1)
        )

    assert expectation(rate) == pytest.approx(1, rel=1e-9)
    assert expectation(rate / 2) < 1


@pytest.mark.parametrize("allowed", [0.0, 0.1])
def test_the_expectation_over_two_epochs_at_the_allowance_is_one(allowed: float) -> None:
    shares = ((90, 10), (50, 50))
    total = 0.0
    for x, y in itertools.product(range(6), range(9)):
        probability = 1.0
        for events_, n, (control, treatment) in zip((x, y), (5, 8), shares, strict=True):
            odds = treatment / control * (1 + allowed)
            theta = odds / (1 + odds)
            probability *= math.comb(n, events_) * theta**events_ * (1 - theta) ** (n - events_)
        evidence = against_control(
            [
                Events(control=5 - x, treatment=x, control_share=90, treatment_share=10),
                Events(control=8 - y, treatment=y, control_share=50, treatment_share=50),
            ],
            allowed_increase=allowed,
        )
        total += probability * math.exp(evidence.log_e)
    assert total == pytest.approx(1, rel=1e-9)


def test_three_failures_of_three_breach_a_limit_of_one_percent() -> None:
    """No minimum count, because a disaster needs none."""
    assert against_limit(Binary(3, 3), 0.01, alpha=0.01).breached
    assert not against_limit(Binary(1, 1), 0.01, alpha=0.01).breached


def test_half_failing_at_twenty_a_second_breaches_within_a_second_even_of_shared_alpha() -> None:
    assert against_limit(Binary(20, 10), 0.01, alpha=0.01 / 10).breached


def test_nothing_counted_is_no_evidence() -> None:
    assert against_limit(Binary(), 0.01).log_e == pytest.approx(0, abs=1e-12)
    assert against_control([]).log_e == pytest.approx(0, abs=1e-12)
    assert rate_bounds(Binary()).width == 1
    assert rate_ratio_bounds([]).high == math.inf


@given(counted, limits)
def test_a_failure_more_is_more_evidence_and_a_success_more_is_less(
    arm: Binary, limit: float
) -> None:
    here = against_limit(arm, limit).log_e
    assert against_limit(Binary(arm.count + 1, arm.successes + 1), limit).log_e > here
    assert against_limit(Binary(arm.count + 1, arm.successes), limit).log_e < here


@given(counted, limits, limits)
def test_a_higher_limit_is_harder_to_breach(arm: Binary, one: float, other: float) -> None:
    assume(arm.count > 0)
    low, high = sorted((one, other))
    assert against_limit(arm, low).log_e >= against_limit(arm, high).log_e - 1e-9


@searches(40)
@given(counted, st.floats(0.001, 0.2))
def test_a_limit_is_breached_exactly_below_the_lower_bound(arm: Binary, alpha: float) -> None:
    bounds = rate_bounds(arm, alpha)
    assert 0 <= bounds.low <= bounds.high <= 1
    if arm.rate is not None:
        assert arm.rate in bounds
    for limit in (0.001, 0.01, 0.1, 0.5):
        assume(abs(bounds.low - limit) > 1e-9)
        assert against_limit(arm, limit, alpha).breached == (limit < bounds.low)


@searches(40)
@given(st.lists(events, min_size=1, max_size=3), st.floats(0.001, 0.2))
def test_an_allowance_is_breached_exactly_below_the_lower_bound(
    epochs: list[Events], alpha: float
) -> None:
    bounds = rate_ratio_bounds(epochs, alpha)
    for allowed in (-0.5, 0.0, 0.25):
        assume(abs(bounds.low - 1 - allowed) > 1e-9)
        evidence = against_control(epochs, allowed_increase=allowed, alpha=alpha)
        assert evidence.breached == (1 + allowed < bounds.low)


@searches(40)
@given(events)
def test_swapping_the_arms_inverts_the_bounds_of_the_ratio(one: Events) -> None:
    swapped = Events(
        control=one.treatment,
        treatment=one.control,
        control_share=one.treatment_share,
        treatment_share=one.control_share,
    )
    here, there = rate_ratio_bounds([one]), rate_ratio_bounds([swapped])
    if here.low > 0:
        assert there.high == pytest.approx(1 / here.low, rel=1e-6)
    else:
        assert there.high == math.inf


@given(events, st.integers(0, 2000), st.integers(0, 2000))
def test_replicas_add_up(one: Events, control: int, treatment: int) -> None:
    other = Events(
        control=control,
        treatment=treatment,
        control_share=2 * one.control_share,
        treatment_share=2 * one.treatment_share,
    )
    merged, apart = against_control([one + other]), against_control([one, other])
    assert merged.log_e == pytest.approx(apart.log_e, rel=1e-9, abs=1e-9)


@given(st.lists(events, min_size=2, max_size=4))
def test_the_order_of_epochs_does_not_matter(epochs: list[Events]) -> None:
    turned = list(reversed(epochs))
    assert against_control(epochs).log_e == pytest.approx(
        against_control(turned).log_e, rel=1e-9, abs=1e-9
    )


def test_many_looks_at_once_equal_single_ones() -> None:
    x, n = np.array([0.0, 3.0, 40.0]), np.array([10.0, 50.0, 900.0])
    single = [against_limit(Binary(int(b), int(a)), 0.02).log_e for a, b in zip(x, n, strict=True)]
    assert log_e_values(x, n, math.log(0.02 / 0.98)) == pytest.approx(single, rel=1e-9)


def test_millions_of_requests_neither_overflow_nor_lose_digits() -> None:
    bad = against_limit(Binary(10**9, 5 * 10**8), 0.001)
    assert bad.p_value == 0
    assert math.isfinite(bad.log_e)
    bounds = rate_bounds(Binary(10**9, 10**7), 0.01)
    assert bounds.low == pytest.approx(0.01, rel=0.01)
    assert bounds.high == pytest.approx(0.01, rel=0.01)


@pytest.mark.parametrize(
    "call",
    [
        lambda: against_limit(Binary(1, 1), 0),
        lambda: against_limit(Binary(1, 1), 0.1, 0),
        lambda: against_control([], allowed_increase=-1),
        lambda: Events(control=-1, treatment=0, control_share=1, treatment_share=1),
        lambda: Events(control=1, treatment=0, control_share=1, treatment_share=0),
        lambda: (
            Events(control=1, treatment=0, control_share=1, treatment_share=1)
            + Events(control=1, treatment=0, control_share=2, treatment_share=1)
        ),
    ],
    ids=["limit", "alpha", "allowance", "events", "share", "different shares"],
)
def test_nonsense_is_refused(call: object) -> None:
    with pytest.raises(ValueError, match=r"must|cannot"):
        call()  # type: ignore[operator]  # a lambda
