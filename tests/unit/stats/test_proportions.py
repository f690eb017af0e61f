"""Tables and rates against scipy, statsmodels, tea-tasting and spotify-confidence."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fairlead_operator.stats.aggregates import Binary
from fairlead_operator.stats.contingency import UNDEFINED, chi_squared, contingency
from fairlead_operator.stats.proportions import (
    clopper_pearson,
    fisher,
    newcombe,
    summarise,
    two_proportions,
    wilson,
)
from tests.unit.stats.known import case

arms = st.integers(1, 5000).flatmap(
    lambda n: st.integers(0, n).map(lambda x: Binary(count=n, successes=x))
)


@pytest.mark.parametrize("name", ["chi2_2x2", "chi2_scipy_doc", "chi2_aspirin_scipy_doc"])
@pytest.mark.parametrize("yates", [False, True], ids=["raw", "yates"])
def test_chi_squared_equals_scipys(name: str, yates: bool) -> None:
    inputs, expected = case("proportions", name)
    test = contingency(inputs["table_success_fail_by_variant"], yates=yates)
    known = expected["pearson_yates" if yates else "pearson_raw"]
    assert test.statistic == pytest.approx(known["chi2"], rel=1e-9)
    assert test.p_value == pytest.approx(known["p"], rel=1e-9)
    assert test.degrees == known["df"]
    assert test.minimum_expected == pytest.approx(expected["min_expected"], rel=1e-9)


def test_chi_squared_of_four_arms_equals_the_published_one() -> None:
    """The table of the reference study: 2 x 4, three degrees of freedom."""
    table = [(40, 60), (50, 50), (10, 40), (20, 40)]
    by_hand = sum(
        (x - n * 120 / 310) ** 2 / (n * 120 / 310) + (y - n * 190 / 310) ** 2 / (n * 190 / 310)
        for x, y in table
        for n in (x + y,)
    )
    test = chi_squared([Binary(x + y, x) for x, y in table])
    assert test.degrees == 3
    assert test.statistic == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize("name", ["chi2_2x2", "chi2_aspirin_scipy_doc"])
def test_fishers_test_equals_scipys(name: str) -> None:
    inputs, expected = case("proportions", name)
    (a, b), (c, d) = inputs["table_success_fail_by_variant"]
    rows = fisher(Binary(a + b, a), Binary(c + d, c))
    columns = fisher(Binary(a + c, a), Binary(b + d, b))
    assert rows == pytest.approx(expected["fisher_p"], rel=1e-8)
    assert columns == pytest.approx(expected["fisher_p"], rel=1e-8)


def test_two_proportions_equal_statsmodels() -> None:
    inputs, expected = case("proportions", "two_prop_z")
    control = Binary(inputs["n_control"], inputs["x_control"])
    treatment = Binary(inputs["n_treat"], inputs["x_treat"])
    test = two_proportions(control, treatment)
    assert test.z == pytest.approx(expected["z_pooled"], rel=1e-9)
    assert test.p_value == pytest.approx(expected["p_pooled"], rel=1e-9)
    assert test.interval is not None
    assert test.lift_interval is not None
    assert [test.interval.low, test.interval.high] == pytest.approx(
        expected["ci95_diff_newcomb"], rel=1e-9
    )
    assert [test.lift_interval.low + 1, test.lift_interval.high + 1] == pytest.approx(
        expected["ci95_ratio_log"], rel=1e-9
    )


def test_p_values_equal_tea_tastings_with_and_without_correction() -> None:
    inputs, expected = case("proportions", "two_prop_tea_tasting")
    summary = summarise(
        {
            "control": Binary(inputs["n_control"], inputs["x_control"]),
            "treatment": Binary(inputs["n_treat"], inputs["x_treat"]),
        }
    )
    assert summary.p_value == pytest.approx(expected["pooled_nocc"]["p"], rel=1e-9)
    assert summary.p_value_yates == pytest.approx(expected["pooled_cc"]["p"], rel=1e-9)


def test_p_values_equal_spotifys() -> None:
    inputs, expected = case("proportions", "sp_readme_chi2")
    control, treatment = (
        Binary(n, x) for x, n in zip(inputs["success"][:2], inputs["total"][:2], strict=True)
    )
    test = chi_squared([control, treatment])
    assert test.p_value == pytest.approx(expected["one"]["p-value"], rel=1e-6)


def test_a_summary_has_the_numbers_that_people_expect() -> None:
    summary = summarise({"control": Binary(2000, 120), "bigger": Binary(2000, 165)})
    assert list(summary.arms) == ["control", "bigger"]
    bigger = summary.arms["bigger"]
    assert (bigger.count, bigger.success, bigger.rate) == (2000, 165, 0.0825)
    assert summary.significant
    assert not summarise({"a": Binary(2000, 120), "b": Binary(2000, 121)}).significant


def test_a_summary_of_nothing_is_undefined_and_not_significant() -> None:
    summary = summarise({"control": Binary(), "treatment": Binary(10, 1)})
    assert summary.p_value is None
    assert not summary.significant
    assert summary.arms["control"].rate is None


@pytest.mark.parametrize(
    "table",
    [[[0, 0], [3, 4]], [[0, 5], [0, 7]], [[1, 2]]],
    ids=["an empty arm", "no success", "one arm"],
)
def test_a_table_that_says_nothing_is_undefined(table: list[list[int]]) -> None:
    assert contingency(table) == UNDEFINED


def test_arms_without_units_cost_no_degree_of_freedom() -> None:
    two = chi_squared([Binary(100, 10), Binary(100, 20)])
    assert chi_squared([Binary(100, 10), Binary(), Binary(100, 20)]) == two


@pytest.mark.parametrize("table", [[], [[1, 2], [3]], [[1, -2], [3, 4]]])
def test_nonsense_tables_are_refused(table: list[list[int]]) -> None:
    with pytest.raises(ValueError, match=r"at least one row|negative"):
        contingency(table)


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 5, math.nan])
def test_an_alpha_in_percent_is_refused_in_words(alpha: float) -> None:
    with pytest.raises(ValueError, match=r"5 % is 0\.05"):
        summarise({"a": Binary(10, 1)}, alpha)


@given(arms, arms)
def test_z_squared_is_chi_squared_and_swapping_arms_mirrors(a: Binary, b: Binary) -> None:
    assume(0 < a.successes + b.successes < a.count + b.count)
    there, back = two_proportions(a, b), two_proportions(b, a)
    table = chi_squared([a, b])
    assert there.z is not None
    assert back.z is not None
    assert there.z**2 == pytest.approx(table.statistic, rel=1e-6, abs=1e-9)
    assert there.p_value == pytest.approx(table.p_value, rel=1e-6, abs=1e-12)
    assert there.z == pytest.approx(-back.z, abs=1e-12)
    forward, backward = newcombe(a, b), newcombe(b, a)
    assert forward is not None
    assert backward is not None
    assert forward.low == pytest.approx(-backward.high, abs=1e-12)


@given(arms)
def test_intervals_hold_the_rate_and_stay_between_0_and_1(arm: Binary) -> None:
    assert arm.rate is not None
    for interval in (wilson(arm), clopper_pearson(arm)):
        assert interval is not None
        assert 0 <= interval.low <= arm.rate <= interval.high <= 1
        assert interval.width > 0


@given(arms, st.integers(2, 20))
def test_more_units_of_the_same_rate_narrow_the_intervals(arm: Binary, times: int) -> None:
    more = Binary(arm.count * times, arm.successes * times)
    for interval in (wilson, clopper_pearson):
        narrow, wide = interval(more), interval(arm)
        assert narrow is not None
        assert wide is not None
        assert narrow.width < wide.width


@given(arms, arms)
def test_yates_never_makes_a_difference_more_significant(a: Binary, b: Binary) -> None:
    raw, corrected = chi_squared([a, b]), chi_squared([a, b], yates=True)
    if raw.p_value is not None and corrected.p_value is not None:
        assert corrected.p_value >= raw.p_value


@pytest.mark.parametrize("call", [wilson, clopper_pearson])
def test_no_units_have_no_interval(call: type) -> None:
    assert call(Binary()) is None


def test_undefined_comparisons_are_none() -> None:
    nothing = two_proportions(Binary(), Binary(5, 1))
    assert nothing.difference is None
    assert nothing.interval is None
    assert (nothing.z, nothing.p_value) == (None, None)
    assert two_proportions(Binary(5, 0), Binary(5, 1)).lift is None
    assert two_proportions(Binary(5, 1), Binary(5, 0)).lift_interval is None
    assert fisher(Binary(5, 0), Binary(5, 0)) is None
    assert fisher(Binary(5, 1), Binary(5, 1)) == pytest.approx(1)
