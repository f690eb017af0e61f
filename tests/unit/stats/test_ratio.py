"""Sample-ratio checks against scipy, gbstats, ssrm and savvi."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead_operator.stats.ratio import (
    Epoch,
    check_ratio,
    log_e_value,
    pearson,
    stratified_pearson,
)
from fairlead_operator.stats.special import log_gamma
from tests.unit.stats.known import case

epochs = st.lists(
    st.tuples(st.tuples(*[st.integers(0, 10**6)] * 3), st.tuples(*[st.integers(1, 100)] * 3)).map(
        lambda pair: Epoch(counts=pair[0], weights=pair[1])
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("name", ["srm_kohavi_fabijan", "srm_3arm_ok"])
def test_pearson_equals_scipys(name: str) -> None:
    inputs, expected = case("ratio", name)
    test = pearson([Epoch(counts=tuple(inputs["counts"]), weights=tuple(inputs["weights"]))])
    assert test.statistic == pytest.approx(expected["chi2"], rel=1e-9)
    assert test.p_value == pytest.approx(expected["p_value"], rel=1e-9)
    assert test.degrees == expected["df"]


@pytest.mark.parametrize("name", ["gb_srm_821588_2", "gb_srm_1100_3", "gb_srm_500_2"])
def test_pearson_equals_gbstats(name: str) -> None:
    inputs, expected = case("ratio", name)
    test = pearson([Epoch(counts=tuple(inputs["users"]), weights=tuple(inputs["weights"]))])
    assert test.p_value == pytest.approx(expected["p"], rel=1e-9)


@pytest.mark.parametrize("name", ["srm_tt_norm_cc", "srm_tt_small_binom"])
def test_two_even_arms_equal_tea_tastings_normal_test(name: str) -> None:
    inputs, expected = case("ratio", name)
    test = pearson([Epoch(counts=(inputs["control"], inputs["treatment"]), weights=(1, 1))])
    assert test.p_value == pytest.approx(expected["norm"], rel=1e-9)


def test_an_arm_of_weight_zero_costs_no_degree_of_freedom() -> None:
    """gbstats counts it (0.183): of two arms the p-value is 0.065, with or without a third."""
    inputs, wrong = case("ratio", "gb_srm_500_3")
    _, right = case("ratio", "gb_srm_500_2")
    test = pearson([Epoch(counts=tuple(inputs["users"]), weights=tuple(inputs["weights"]))])
    assert test.p_value == pytest.approx(right["p"], rel=1e-9)
    assert test.p_value != pytest.approx(wrong["p"], rel=0.1)


def test_a_clean_ramp_is_no_mismatch_by_epoch_and_a_huge_one_by_current_weights() -> None:
    inputs, expected = case("ratio", "srm_ramp_two_phase")
    ramp = [
        Epoch(counts=tuple(phase["counts"]), weights=tuple(phase["weights"]))
        for phase in inputs["phases"]
    ]
    checked = check_ratio(ramp)
    assert checked.pearson.statistic == pytest.approx(expected["pooled_expected_chi2"], rel=1e-9)
    assert checked.pearson.p_value == pytest.approx(expected["pooled_expected_p"], rel=1e-9)
    assert not checked.mismatch
    stratified = stratified_pearson(ramp)
    assert stratified.statistic == pytest.approx(expected["stratified_sum_chi2"], rel=1e-9)
    assert stratified.degrees == expected["stratified_df"]
    assert stratified.p_value == pytest.approx(expected["stratified_p"], rel=1e-9)
    naive = [Epoch(counts=(9012 + 5060, 988 + 4940), weights=(0.5, 0.5))]
    assert pearson(naive).statistic == pytest.approx(expected["naive_chi2"], rel=1e-9)
    assert check_ratio(naive).mismatch


@pytest.mark.parametrize("name", ["ssrm_kohavi", "ssrm_ok"])
def test_the_e_value_equals_ssrms(name: str) -> None:
    inputs, expected = case("ratio", name)
    epoch = Epoch(counts=tuple(inputs["counts"]), weights=tuple(inputs["theta_0"]))
    checked = check_ratio([epoch], concentration=inputs["k"])
    assert checked.log_e == pytest.approx(expected["log_bayes_factor"], rel=1e-6)
    assert checked.p_value == pytest.approx(expected["p_sequential"], rel=1e-6)


def test_the_e_value_equals_ssrms_after_each_block() -> None:
    """ssrm's own test has the prior (1, 1, 1), which is no multiple of theta: by the parts."""
    inputs, expected = case("ratio", "ssrm_repo_unit_test")
    theta, seen = np.array(inputs["theta_0"]), np.zeros(3)
    for block, m1, m0 in zip(
        inputs["blocks"], expected["log_marg_M1"], expected["log_marg_M0"], strict=True
    ):
        seen += block
        # The same multinomial coefficients stand in both and drop out of the ratio.
        even = log_e_value([int(n) for n in seen], [1, 1, 1], concentration=3)
        shift = float(seen @ (np.log(theta) - math.log(1 / 3)))
        assert even - shift == pytest.approx(m1 - m0, rel=1e-6)


def test_event_counts_equal_savvis() -> None:
    inputs, expected = case("ratio", "savvi_poisson_process")
    log_e = log_e_value(inputs["counts_at_stop"], inputs["rho"], inputs["k"])
    assert log_e == pytest.approx(expected["logE_closed_form"], rel=1e-6)
    assert math.exp(-log_e) == pytest.approx(expected["p_value"], rel=1e-6)
    inputs, expected = case("ratio", "ibp_two_arm_equal_alloc")
    log_e = log_e_value(inputs["success_counts"], inputs["assignment_probs"], inputs["k"])
    assert log_e == pytest.approx(expected["logE"], rel=1e-6)


@pytest.mark.parametrize("concentration", [10.0, 1000.0])
def test_the_expectation_under_the_weights_is_exactly_one(concentration: float) -> None:
    """Summed over all outcomes of twelve units of three arms: no simulation."""
    shares, n, total = (0.2, 0.3, 0.5), 12, 0.0
    for x in range(n + 1):
        for y in range(n + 1 - x):
            counts = (x, y, n - x - y)
            coefficient = float(
                log_gamma(np.array([n + 1.0]))[0] - log_gamma(np.array(counts) + 1.0).sum()
            )
            log_p = coefficient + math.fsum(
                c * math.log(s) for c, s in zip(counts, shares, strict=True)
            )
            total += math.exp(log_p + log_e_value(counts, shares, concentration))
    assert total == pytest.approx(1, rel=1e-9)


@given(epochs)
def test_neither_order_of_arms_nor_of_epochs_nor_the_unit_of_weights_matters(
    counted: list[Epoch],
) -> None:
    turned = [
        Epoch(counts=one.counts[::-1], weights=tuple(7 * w for w in one.weights[::-1]))
        for one in reversed(counted)
    ]
    here, there = check_ratio(counted), check_ratio(turned)
    assert here.log_e == pytest.approx(there.log_e, rel=1e-6, abs=1e-6)
    if here.pearson.statistic is None:
        assert there.pearson.statistic is None
    else:
        assert here.pearson.statistic == pytest.approx(there.pearson.statistic, rel=1e-9, abs=1e-9)


@given(epochs)
def test_pooled_statistics_never_exceed_stratified_ones(counted: list[Epoch]) -> None:
    """Cauchy and Schwarz; so the pooled one may miss mismatches that cancel out."""
    pooled, stratified = pearson(counted), stratified_pearson(counted)
    if pooled.statistic is not None and stratified.statistic is not None:
        assert pooled.statistic <= stratified.statistic * (1 + 1e-9) + 1e-9


def test_units_in_an_arm_of_weight_zero_are_a_mismatch_at_once() -> None:
    checked = check_ratio([Epoch(counts=(5, 1), weights=(1, 0))])
    assert checked.mismatch
    assert checked.log_e == math.inf
    assert checked.p_value == checked.pearson.p_value == 0


def test_no_units_are_no_mismatch() -> None:
    checked = check_ratio([Epoch(counts=(0, 0), weights=(1, 1))])
    assert checked.pearson.p_value is checked.pearson.minimum_expected is None
    assert checked.log_e == pytest.approx(0)
    assert not checked.mismatch


@pytest.mark.parametrize(
    ("counts", "weights", "words"),
    [
        ((1,), (1, 1), "1 counts, but 2 weights"),
        ((-1, 1), (1, 1), "negative"),
        ((1, 1), (0, 0), "above 0"),
        ((1, 1), (math.nan, 1), "finite"),
    ],
)
def test_nonsense_epochs_are_refused(
    counts: tuple[int, ...], weights: tuple[float, ...], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Epoch(counts=counts, weights=weights)


def test_nonsense_checks_are_refused() -> None:
    one, two = Epoch(counts=(1, 1), weights=(1, 1)), Epoch(counts=(1,), weights=(1,))
    with pytest.raises(ValueError, match="same arms"):
        check_ratio([one, two])
    with pytest.raises(ValueError, match="at least one epoch"):
        pearson([])
    with pytest.raises(ValueError, match="concentration"):
        check_ratio([one], concentration=0)
