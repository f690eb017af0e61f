"""The quadrature against the closed sum for two arms, and against a package."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betaln

from fairlead_operator.stats.aggregates import Binary, Estimate
from fairlead_operator.stats.bayes import best_of_means, probability_to_be_best
from tests.unit.stats.known import case

arms = st.integers(0, 3000).flatmap(
    lambda n: st.integers(0, n).map(lambda x: Binary(count=n, successes=x))
)


def closed_sum(a: Binary, b: Binary) -> float:
    """Evan Miller's P(b > a) with uniform priors."""
    a1, a0, b1, b0 = a.successes + 1, a.failures + 1, b.successes + 1, b.failures + 1
    return math.fsum(
        math.exp(betaln(a1 + i, a0 + b0) - math.log(b0 + i) - betaln(1 + i, b0) - betaln(a1, a0))
        for i in range(b1)
    )


@given(arms, arms)
def test_two_arms_equal_the_closed_sum(a: Binary, b: Binary) -> None:
    best = probability_to_be_best([a, b])
    assert best.probabilities[1] == pytest.approx(closed_sum(a, b), abs=1e-8)


@pytest.mark.parametrize(
    ("control", "treatment"),
    [((10**6, 10_000), (10**6, 10_300)), ((3, 1), (10**6, 10_000)), ((0, 0), (50_000, 40_000))],
    ids=["millions", "few against a million", "nobody against many"],
)
def test_very_unequal_arms_are_resolved(
    control: tuple[int, int], treatment: tuple[int, int]
) -> None:
    a, b = Binary(*control), Binary(*treatment)
    assert probability_to_be_best([a, b]).probabilities[1] == pytest.approx(
        closed_sum(a, b), abs=1e-7
    )


def test_the_reference_case_has_its_probability() -> None:
    best = probability_to_be_best([Binary(2000, 120), Binary(2000, 165)])
    assert best.probabilities[1] == pytest.approx(0.9971630, abs=5e-8)


def test_probability_and_loss_equal_spotifys_within_its_simulation() -> None:
    inputs, expected = case("bayes", "sp_readme_betabinomial")
    pair = [Binary(n, x) for x, n in zip(inputs["success"], inputs["total"], strict=True)][:2]
    best = probability_to_be_best(pair)
    assert best.probabilities[1] == pytest.approx(expected["P(level_2 > level_1)"], abs=0.01)
    assert best.expected_losses[0] == pytest.approx(-expected["level_1 potential loss"], abs=0.01)
    assert best.expected_losses[1] == pytest.approx(-expected["level_2 potential loss"], abs=0.001)


@given(st.lists(arms, min_size=1, max_size=5))
def test_probabilities_sum_to_one_and_follow_their_arm(counted: list[Binary]) -> None:
    best = probability_to_be_best(counted)
    turned = probability_to_be_best(counted[::-1])
    assert sum(best.probabilities) == pytest.approx(1, abs=1e-12)
    assert best.probabilities == pytest.approx(turned.probabilities[::-1], abs=1e-9)


@given(st.lists(arms, min_size=1, max_size=4))
def test_the_least_rate_is_best_where_the_goal_is_a_decrease(counted: list[Binary]) -> None:
    mirrored = [Binary(arm.count, arm.failures) for arm in counted]
    assert (
        probability_to_be_best(counted, goal="decrease").probabilities
        == probability_to_be_best(mirrored).probabilities
    )


def test_the_prior_is_that_of_the_rate_whatever_the_goal() -> None:
    """Beta(1, 9) has mean 0.1, so that 0.5 of 1000 units is worse than an arm without units."""
    best = probability_to_be_best([Binary(), Binary(1000, 500)], prior=(1, 9), goal="decrease")
    assert best.probabilities[0] > 0.99


def test_arms_without_units_share_equally() -> None:
    assert probability_to_be_best([Binary()] * 4).probabilities == pytest.approx((0.25,) * 4)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="there are none"):
        probability_to_be_best([])
    with pytest.raises(ValueError, match="prior"):
        probability_to_be_best([Binary()], prior=(0, 1))


def test_two_means_equal_the_normal_formula() -> None:
    """P(b > a) = Phi((b - a)/s), and E[max] = a + (b - a) Phi(d) + s phi(d), s^2 = v_a + v_b."""
    a, b = Estimate(0.05, 0.004), Estimate(0.056, 0.0007)
    best = best_of_means([a, b])
    s = math.hypot(a.standard_error, b.standard_error)
    d = (b.value - a.value) / s
    phi = math.erfc(-d / math.sqrt(2)) / 2
    top = a.value + (b.value - a.value) * phi + s * math.exp(-d * d / 2) / math.sqrt(2 * math.pi)
    assert best.probabilities == pytest.approx((1 - phi, phi), abs=1e-9)
    assert best.expected_losses == pytest.approx((top - a.value, top - b.value), abs=1e-9)


def test_of_many_units_means_and_rates_agree() -> None:
    arms = [Binary(40_000, 2000), Binary(40_000, 2050), Binary(30_000, 1540)]
    estimates = [one for arm in arms if (one := arm.estimate()) is not None]
    assert best_of_means(estimates).probabilities == pytest.approx(
        probability_to_be_best(arms).probabilities, abs=0.005
    )
    assert best_of_means(estimates, goal="decrease").probabilities == pytest.approx(
        probability_to_be_best(arms, goal="decrease").probabilities, abs=0.005
    )


def test_a_thousand_times_narrower_mean_is_not_stepped_over() -> None:
    best = best_of_means([Estimate(0.0, 1.0), Estimate(0.5, 0.001)])
    assert best.probabilities[0] == pytest.approx(math.erfc(0.5 / math.sqrt(2)) / 2, abs=1e-6)


@pytest.mark.parametrize("arms", [[], [Estimate(1.0, 0.0)]])
def test_means_without_a_standard_error_are_refused(arms: list[Estimate]) -> None:
    with pytest.raises(ValueError, match="standard error"):
        best_of_means(arms)
