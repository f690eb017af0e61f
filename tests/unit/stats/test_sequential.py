"""The confidence sequence against closed forms and gbstats."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fairlead_operator.stats.aggregates import Binary, Estimate
from fairlead_operator.stats.sequential import (
    compare,
    confidence_sequence,
    fieller,
    log_e_values,
    radius,
    ready,
    relative_lift,
    tuning,
)
from fairlead_operator.stats.special import normal_quantile
from tests.unit.stats.known import case

estimates = st.builds(Estimate, st.floats(0.01, 10), st.floats(0.001, 2))


@pytest.mark.parametrize("name", ["acs_two_prop", "acs_null"])
def test_it_equals_the_closed_form_and_the_msprt(name: str) -> None:
    inputs, expected = case("sequential", name)
    estimate = Estimate(inputs["est"], inputs["se"])
    judged = confidence_sequence(
        estimate, inputs["n"], alpha=inputs["alpha"], expected_units=inputs["n_star"]
    )
    assert judged.interval is not None
    assert tuning(inputs["alpha"], inputs["n_star"]) == pytest.approx(expected["rho"], rel=1e-9)
    assert math.exp(judged.log_e) == pytest.approx(expected["e_value"], rel=1e-9)
    assert judged.p_value == pytest.approx(expected["p_always_valid"], rel=1e-9)
    assert [judged.interval.low, judged.interval.high] == pytest.approx(expected["ci"], rel=1e-9)
    # Johari's own form, with tau^2 = rho^2 n SE^2.
    variance, tau2 = estimate.standard_error**2, expected["msprt_lambda_tau2"]["tau2"]
    msprt = math.sqrt(variance / (variance + tau2)) * math.exp(
        tau2 * estimate.value**2 / (2 * variance * (variance + tau2))
    )
    assert math.exp(judged.log_e) == pytest.approx(msprt, rel=1e-9)


def test_it_is_confseqs_two_sided_normal_mixture() -> None:
    """There s is a sum and v its variance; here z = s/sqrt(v) and the units stand for v."""
    given, expected = case("sequential", "confseq_normal_mixture")
    rho = tuning(given["alpha_opt"], given["v_opt"])
    z = given["s"] / math.sqrt(given["v"])
    assert float(log_e_values(z, given["v"], rho)) == pytest.approx(
        expected["log_mixture_two_sided"], rel=1e-5
    )
    half = float(radius(given["v"], rho, given["alpha"])) * math.sqrt(given["v"])
    assert half == pytest.approx(expected["bound_two_sided"], rel=1e-5)


def test_a_step_of_holms_moves_the_level_and_not_the_tuning() -> None:
    estimate = Estimate(0.02, 0.008)
    first, second = (
        confidence_sequence(estimate, 4000, alpha=alpha, expected_units=9000, tuned_for=0.025)
        for alpha in (0.025, 0.05)
    )
    assert first.log_e == second.log_e
    assert first.interval is not None
    assert second.interval is not None
    assert second.interval.width < first.interval.width
    assert (0.0 in second.interval) == (second.p_value > 0.05)


def test_the_price_of_looking_is_the_published_one() -> None:
    inputs, expected = case("sequential", "acs_width_inflation")
    alpha = inputs["alpha"]
    widths = radius(np.array(inputs["n_over_nstar"]), tuning(alpha, 1), alpha)
    # The published ratios are to the rounded quantile.
    assert widths / 1.959964 == pytest.approx(expected["width_ratio_vs_fixed_z"], rel=1e-12)


def test_the_delta_methods_lift_equals_gbstats() -> None:
    inputs, expected = case("sequential", "gb_sequential_prop_relative")
    lift = relative_lift(
        Binary(inputs["n_a"], inputs["x_a"]).estimate(),
        Binary(inputs["n_b"], inputs["x_b"]).estimate(),
    )
    judged = confidence_sequence(lift, 4000, alpha=inputs["alpha"], expected_units=inputs["n_star"])
    assert judged.interval is not None
    assert lift is not None
    assert lift.value == pytest.approx(expected["expected"], rel=1e-9)
    assert [judged.interval.low, judged.interval.high] == pytest.approx(expected["ci"], rel=1e-9)
    assert judged.p_value == pytest.approx(expected["p_value"], rel=1e-9)


@given(estimates, estimates, st.floats(1, 1e7))
def test_interval_p_value_and_lift_agree_about_zero(
    control: Estimate, treatment: Estimate, units: float
) -> None:
    judged = compare(control, treatment, units)
    inner = judged.difference
    assert inner.interval is not None
    assume(abs(inner.log_e + math.log(0.05)) > 1e-9)
    assert (0 not in inner.interval) == (inner.p_value < 0.05)
    if judged.lift_interval is not None:
        assert (0 not in judged.lift_interval) == (0 not in inner.interval)
        assert judged.lift is not None
        assert judged.lift_interval.low <= judged.lift + 1e-12
        assert judged.lift - 1e-12 <= judged.lift_interval.high


@given(estimates, estimates, st.floats(0.1, 5))
def test_the_ends_of_fiellers_set_lie_exactly_at_the_radius(
    control: Estimate, treatment: Estimate, half: float
) -> None:
    found = fieller(control, treatment, half)
    assume(found is not None and found.width > 1e-6 and found.high < 1e4)
    assert found is not None
    for end in (1 + found.low, 1 + found.high):
        distance = abs(treatment.value - end * control.value)
        error = math.hypot(treatment.standard_error, end * control.standard_error)
        assert distance == pytest.approx(half * error, rel=1e-5, abs=1e-6)


@given(estimates, st.floats(10, 1e6), st.floats(1.1, 10))
def test_evidence_is_the_same_for_both_signs_and_grows_with_the_distance(
    estimate: Estimate, units: float, times: float
) -> None:
    def log_e(value: float) -> float:
        return confidence_sequence(Estimate(value, estimate.standard_error), units).log_e

    assert log_e(estimate.value) == log_e(-estimate.value)
    assert log_e(times * estimate.value) > log_e(estimate.value)


@given(st.floats(0.001, 0.5), st.floats(10, 1e6), st.floats(1.5, 50))
def test_the_interval_shrinks_as_units_come(alpha: float, units: float, times: float) -> None:
    rho = tuning(alpha, 5000)
    before = float(radius(units, rho, alpha)) / math.sqrt(units)
    after = float(radius(units * times, rho, alpha)) / math.sqrt(units * times)
    assert after < before
    # Wider than a single look's, always: looking costs.
    assert float(radius(units, rho, alpha)) > normal_quantile(1 - alpha / 2)


def test_it_is_tightest_near_the_expected_units() -> None:
    at = {n: float(radius(5000, tuning(0.05, n), 0.05)) for n in (500, 5000, 50_000)}
    assert at[5000] == min(at.values())


def test_many_looks_at_once_equal_single_ones() -> None:
    z, units, rho = np.array([0.5, 2.0, 4.0]), np.array([10.0, 500.0, 9000.0]), tuning(0.05, 5000)
    single = [
        confidence_sequence(Estimate(float(a), 1.0), float(n)).log_e
        for a, n in zip(z, units, strict=True)
    ]
    assert log_e_values(z, units, rho) == pytest.approx(single, rel=1e-12)


def test_a_huge_effect_has_a_p_value_of_zero_and_no_overflow() -> None:
    judged = confidence_sequence(Estimate(100, 0.001), 10**6)
    assert judged.p_value == 0
    assert judged.log_e > 10**6


@pytest.mark.parametrize("estimate", [None, Estimate(0.1, 0)], ids=["none", "no error"])
def test_an_undefined_estimate_is_no_evidence(estimate: Estimate | None) -> None:
    judged = confidence_sequence(estimate, 0)
    assert judged.interval is None
    assert (judged.log_e, judged.p_value) == (0, 1)


def test_a_control_near_zero_has_no_bounded_lift() -> None:
    judged = compare(Estimate(0.001, 0.01), Estimate(0.5, 0.01), 5000)
    assert judged.lift is not None
    assert judged.lift_interval is None
    assert compare(Estimate(0, 0.01), Estimate(0.5, 0.01), 5000).lift is None
    assert relative_lift(Estimate(0, 1), Estimate(1, 1)) is None


@pytest.mark.parametrize(
    ("alpha", "expected", "units"), [(1.5, 5000, 10), (0.05, 0, 10), (0.05, 5000, 0)]
)
def test_nonsense_is_refused(alpha: float, expected: float, units: float) -> None:
    with pytest.raises(ValueError, match=r"alpha|units"):
        confidence_sequence(Estimate(1, 1), units, alpha=alpha, expected_units=expected)


def test_arms_are_ready_with_ten_successes_and_failures_each() -> None:
    assert ready(Binary(100, 10), Binary(100, 90))
    assert not ready(Binary(100, 10), Binary(100, 91))
    assert not ready(Binary(99, 50), Binary(100, 50))
