"""Several arms, several epochs, and the plan before any of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead_operator.stats.aggregates import Binary, Estimate, Moments
from fairlead_operator.stats.epochs import averages, inverse_variance, stratify
from fairlead_operator.stats.multiplicity import benjamini_hochberg, e_benjamini_hochberg, holm
from fairlead_operator.stats.power import achieved_power, plan_mean, plan_rate
from fairlead_operator.stats.proportions import two_proportions
from tests.unit.stats.known import case

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def test_holm_of_the_textbook() -> None:
    """0.01, 0.04, 0.03, 0.005 of R's documentation of p.adjust: 0.03, 0.06, 0.06, 0.02."""
    adjusted = holm([0.01, 0.04, 0.03, 0.005])
    assert adjusted.p_values == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert adjusted.rejected == (True, False, False, True)
    assert adjusted.levels == pytest.approx((0.05 / 3, 0.025, 0.025, 0.0125))


def test_holms_first_step_is_spotifys_bonferroni() -> None:
    inputs, expected = case("proportions", "sp_readme_ztest")
    control, *others = (
        Binary(n, x) for x, n in zip(inputs["success"], inputs["total"], strict=True)
    )
    # spotify's z test has unpooled variances, from which its own p-values come.
    plain = [row["p-value"] for row in expected["multi"]]
    adjusted = holm(plain)
    assert min(p for p in adjusted.p_values if p is not None) == pytest.approx(
        expected["multi"][1]["adjusted p-value"], rel=1e-6
    )
    assert adjusted.rejected == tuple(bool(row["is_significant"]) for row in expected["multi"])
    for arm, row in zip(others, expected["multi"], strict=True):
        difference = two_proportions(control, arm).difference
        assert difference is not None
        assert difference.value == pytest.approx(row["difference"], rel=1e-6)


@given(p_values)
def test_holm_is_never_bolder_than_single_tests_nor_shyer_than_bonferroni(
    values: list[float],
) -> None:
    adjusted = holm(values)
    for p, new in zip(values, adjusted.p_values, strict=True):
        assert new is not None
        assert p <= new <= min(1, len(values) * p)


@given(p_values)
def test_what_holm_rejects_are_the_p_values_below_their_own_level(values: list[float]) -> None:
    adjusted = holm(values)
    for p, rejected, level in zip(values, adjusted.rejected, adjusted.levels, strict=True):
        assert rejected == (p <= level * (1 + 1e-12))


@given(p_values)
def test_benjamini_hochberg_rejects_whatever_holm_does(values: list[float]) -> None:
    for shy, bold in zip(holm(values).rejected, benjamini_hochberg(values).rejected, strict=True):
        assert bold or not shy


@given(p_values)
def test_the_order_of_tests_does_not_matter(values: list[float]) -> None:
    for method in (holm, benjamini_hochberg):
        assert method(values).p_values == method(values[::-1]).p_values[::-1]


def test_a_test_without_p_value_counts_but_is_not_rejected() -> None:
    adjusted = holm([0.02, None, 0.04])
    first, missing, last = adjusted.p_values
    assert missing is None
    assert (first, last) == pytest.approx((0.06, 0.08))
    assert adjusted.rejected == (False, False, False)
    assert benjamini_hochberg([None, 0.01]).rejected == (False, True)
    assert holm([]).rejected == ()


@pytest.mark.parametrize("name", ["e_bh_200", "e_bh_19"])
def test_e_values_are_rejected_as_published(name: str) -> None:
    inputs, expected = case("multiplicity", name)
    rejected = e_benjamini_hochberg([math.log(e) for e in inputs["e"]], inputs["alpha"])
    assert [i for i, no in enumerate(rejected) if no] == expected["rejected_idx"]


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_p_values_out_of_range_are_refused(p: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([p])


RAMP = (
    [Binary(90_000, 27_000), Binary(50_000, 5_000)],
    [Binary(10_000, 2_900), Binary(50_000, 4_500)],
)


def test_a_ramp_over_changing_rates_is_read_right_by_epoch_and_wrong_in_a_pool() -> None:
    control, treatment = RAMP
    pooled = two_proportions(sum(control, Binary()), sum(treatment, Binary())).difference
    joined = stratify(control, treatment)
    assert pooled is not None
    assert joined.control is not None
    assert joined.treatment is not None
    assert pooled.value < -0.1
    assert joined.treatment.value - joined.control.value == pytest.approx(-0.01, abs=1e-12)
    assert joined.epochs == 2


def test_units_of_an_even_split_are_all_units_and_of_an_uneven_one_fewer() -> None:
    assert stratify([Binary(500, 50)], [Binary(500, 60)]).units == 1000
    assert stratify([Binary(900, 50)], [Binary(100, 60)]).units == pytest.approx(360)


def test_one_epoch_is_itself() -> None:
    a, b = Binary(900, 90), Binary(100, 20)
    joined = stratify([a], [b])
    assert (joined.control, joined.treatment) == (a.estimate(), b.estimate())


@given(st.permutations(range(3)))
def test_the_order_of_epochs_does_not_matter(order: list[int]) -> None:
    control = [Moments.of([1, 2, 3]), Moments.of([4, 5]), Moments.of([0, 9, 9, 9])]
    treatment = [Moments.of([2, 2, 5]), Moments.of([4, 8, 8]), Moments.of([1, 7])]
    plain = stratify(control, treatment)
    turned = stratify([control[i] for i in order], [treatment[i] for i in order])
    assert plain.control is not None
    assert turned.control is not None
    assert turned.control.value == pytest.approx(plain.control.value, rel=1e-12)
    assert turned.units == pytest.approx(plain.units)


def test_epochs_without_units_are_left_out() -> None:
    joined = stratify([Binary(), Binary(50, 5)], [Binary(10, 1), Binary(50, 6)])
    assert joined.epochs == 1
    assert stratify([Binary()], [Binary()]).control is None
    assert stratify([], []).units == 0
    with pytest.raises(ValueError, match="1 epochs of the control, 0 of the treatment"):
        stratify([Binary()], [])


def test_inverse_variance_of_the_textbook() -> None:
    """1 +- 0.5 and 2 +- 1: (4 * 1 + 1 * 2) / 5 with error 1/sqrt(5), Q = 0.8."""
    joined = inverse_variance([Estimate(1, 0.5), None, Estimate(2, 1), Estimate(7, 0)])
    assert joined.estimate is not None
    assert joined.estimate.value == pytest.approx(1.2)
    assert joined.estimate.standard_error == pytest.approx(5**-0.5)
    assert joined.heterogeneity == pytest.approx(0.8)
    assert joined.p_value == pytest.approx(math.erfc(math.sqrt(0.8 / 2)))
    assert inverse_variance([]).estimate is None
    assert inverse_variance([Estimate(1, 1)]).p_value is None


def test_estimated_inverse_variances_are_biased_on_a_ramp_and_sizes_are_not() -> None:
    """Why `stratify` weighs by size: 2000 A/A ramps at 1 %, the treatment with few units."""
    generator = np.random.default_rng(7)
    by_variance, by_size = [], []
    for _ in range(2000):
        control = [Binary(n, int(generator.binomial(n, 0.01))) for n in (9000, 7500, 5000)]
        treatment = [Binary(n, int(generator.binomial(n, 0.01))) for n in (1000, 2500, 5000)]
        joined = stratify(control, treatment)
        assert joined.control is not None
        assert joined.treatment is not None
        by_size.append(joined.treatment.value - joined.control.value)
        averaged = inverse_variance(
            [two_proportions(a, b).difference for a, b in zip(control, treatment, strict=True)]
        )
        assert averaged.estimate is not None
        by_variance.append(averaged.estimate.value)
    error = float(np.std(by_size)) / math.sqrt(2000)
    assert abs(np.mean(by_size)) < 4 * error
    assert np.mean(by_variance) < -5 * error


def test_the_plan_of_one_look_equals_rs_power_prop_test() -> None:
    """R's documentation: 76.65294 per arm for 50 % against 75 % with power 0.9."""
    plan = plan_rate(0.5, 0.5, power=0.9)
    assert plan.fixed_units == math.ceil(2 * 76.65294)
    assert achieved_power(0.5, 0.5, 100) == pytest.approx(0.7401659, abs=5e-7)
    assert achieved_power(0.5, 0.5, 2 * 76.65294) == pytest.approx(0.9, abs=1e-3)


def test_the_plan_of_a_mean_equals_the_normal_formula() -> None:
    """2 (1.96 + 0.8416)^2 per arm for one standard deviation: 15.7."""
    assert plan_mean(1, 1).fixed_units == math.ceil(4 * (1.959964 + 0.841621) ** 2)


@given(st.floats(0.01, 0.4), st.floats(0.05, 0.5), st.integers(20, 80))
def test_looking_at_will_and_uneven_shares_cost_units(base: float, lift: float, share: int) -> None:
    even, uneven = plan_rate(base, lift), plan_rate(base, lift, shares=(100 - share, share))
    assert uneven.sequential_units >= 0.9 * even.sequential_units
    for plan in (even, uneven):
        assert 1.5 < plan.sequential_units / plan.fixed_units < 2.5


@given(st.floats(0.01, 0.3), st.floats(0.05, 0.5), st.floats(1.1, 3))
def test_smaller_effects_and_more_power_cost_units(base: float, lift: float, by: float) -> None:
    plan = plan_rate(base, lift)
    assert plan_rate(base, lift / by).sequential_units >= plan.sequential_units
    assert plan_rate(base, lift, power=0.9).sequential_units > plan.sequential_units
    assert plan_rate(base, lift, shares=(1, 1, 1)).sequential_units > plan.sequential_units


def test_two_treatments_are_planned_at_half_the_level_and_the_smallest_decides() -> None:
    three = plan_mean(1, 0.1, shares=(50, 10, 40))
    assert three.alpha == 0.025
    pair = plan_mean(1, 0.1, shares=(50, 10), alpha=0.025)
    assert three.fixed_units == pytest.approx(pair.fixed_units * 100 / 60, rel=1e-3)
    assert three.units_per_arm[1] == pytest.approx(pair.units_per_arm[1], rel=1e-3)


def test_days_follow_from_the_traffic_and_the_outcome_window() -> None:
    plan = plan_rate(0.1, 0.1, units_per_day=1000, outcome_days=7)
    assert plan.fixed_days == pytest.approx(plan.fixed_units / 1000 + 7)
    assert plan.sequential_days == pytest.approx(plan.sequential_units / 1000 + 7)
    assert plan_rate(0.1, 0.1).fixed_days is None


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: plan_rate(0.1, 0), "takes forever"),
        (lambda: plan_rate(0.9, 0.5), "after a lift of 0.5"),
        (lambda: plan_rate(0.1, 0.1, shares=(1,)), "two arms at least"),
        (lambda: plan_rate(0.1, 0.1, units_per_day=0), "units a day"),
        (lambda: plan_mean(0, 1), "standard deviation"),
        (lambda: achieved_power(0.1, 0.1, 0), "units must be positive"),
    ],
)
def test_nonsense_plans_are_refused_in_words(call: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()  # type: ignore[operator]  # a lambda


def test_the_averages_of_two_arms_are_those_of_stratify() -> None:
    control = [Binary(9000, 1080), Binary(5000, 200)]
    treatment = [Binary(1000, 130), Binary(5000, 210)]
    joined = stratify(control, treatment)
    a, b = averages([control, treatment])
    assert a is not None
    assert b is not None
    assert joined.control is not None
    assert joined.treatment is not None
    for mine, theirs in ((a, joined.control), (b, joined.treatment)):
        assert mine.value == pytest.approx(theirs.value, rel=1e-12)
        assert mine.standard_error == pytest.approx(theirs.standard_error, rel=1e-12)


def test_epochs_without_an_arm_are_in_no_average() -> None:
    arms = [[Binary(100, 10), Binary(100, 20)], [Binary(), Binary(50, 9)]]
    assert averages(arms) == (Binary(100, 20).estimate(), Binary(50, 9).estimate())
    assert averages([[Binary(1, 1)], [Binary()]]) == (None, None)
    with pytest.raises(ValueError, match="same epochs"):
        averages([[Binary()], []])
