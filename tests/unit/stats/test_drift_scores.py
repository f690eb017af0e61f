"""Drift scores against scipy, Evidently, NannyML and frouros, on the same data and bins."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from fairlead_operator.stats.special import chi_squared_tail
from fairlead_runtime.contract import drift
from tests.unit.stats.known import case

REFERENCE = stats.norm.ppf((np.arange(2000) + 0.5) / 2000)
GRID = stats.norm.ppf((np.arange(500) + 0.5) / 500)
CURRENT = {"nodrift": GRID, "drift_0.3_1.2": 0.3 + 1.2 * GRID, "shift_0.5": 0.5 + GRID}
SMALL = (
    stats.norm.ppf((np.arange(200) + 0.5) / 200),
    0.4 + 1.1 * stats.norm.ppf((np.arange(150) + 0.5) / 150),
)

pairs = st.integers(2, 30).flatmap(
    lambda size: st.tuples(
        *[st.lists(st.integers(0, 10_000), min_size=size, max_size=size).filter(any)] * 2
    )
)


def atoms(reference: np.ndarray, current: np.ndarray) -> tuple[list[int], list[int], np.ndarray]:
    """Return counts on bins that hold one value each, where nothing is lost."""
    points = np.unique(np.concatenate([reference, current]))
    sides = [
        np.bincount(np.searchsorted(points, x), minlength=len(points)) for x in (reference, current)
    ]
    return sides[0].tolist(), sides[1].tolist(), points


@pytest.mark.parametrize("name", ["nodrift", "shift_0.5"])
def test_scores_on_deciles_are_the_known_ones(name: str) -> None:
    inputs, expected = case("drift", f"drift_counts_{name}")
    places = np.searchsorted(inputs["edges"], CURRENT[name], side="right")
    window = np.bincount(places, minlength=10)
    assert window.tolist() == expected["cur_counts"]
    reference = expected["ref_counts"]
    assert drift.psi(reference, window) == pytest.approx(expected["psi_alpha0.5"], rel=1e-9)
    assert drift.psi(reference, window, smoothing=1.0) == pytest.approx(
        expected["psi_alpha1.0"], rel=1e-9
    )
    assert drift.psi(reference, window, smoothing=0) == pytest.approx(expected["psi_raw"], rel=1e-9)
    distance = drift.jensen_shannon(reference, window)
    assert distance == pytest.approx(expected["js_distance_base2"], rel=1e-9)
    assert distance * math.sqrt(math.log(2)) == pytest.approx(expected["js_distance_nat"], rel=1e-9)
    bracket = drift.kolmogorov_smirnov(reference, window)
    assert bracket.low == pytest.approx(expected["ks_binned_lower"], rel=1e-9)
    assert bracket.high == pytest.approx(expected["ks_binned_upper"], rel=1e-9)
    test = drift.chi_squared(reference, window)
    assert test.value == pytest.approx(expected["chi2_two_sample"]["stat"], rel=1e-9, abs=1e-12)
    assert test.degrees == expected["chi2_two_sample"]["df"]
    assert chi_squared_tail(test.value, test.degrees) == pytest.approx(
        expected["chi2_two_sample"]["p"], rel=1e-9
    )


def test_psi_by_hand() -> None:
    inputs, expected = case("drift", "psi_hand")
    sides = [[round(100 * share) for share in inputs[side]] for side in ("ref_pct", "cur_pct")]
    assert drift.psi(*sides, smoothing=0) == pytest.approx(expected["psi"], rel=1e-9)


@pytest.mark.parametrize(
    ("name", "reference", "current"),
    [
        ("nannyml_nodrift", REFERENCE, CURRENT["nodrift"]),
        ("nannyml_drift_0.3_1.2", REFERENCE, CURRENT["drift_0.3_1.2"]),
        ("nannyml_small", *SMALL),
    ],
)
def test_scores_are_nannymls(name: str, reference: np.ndarray, current: np.ndarray) -> None:
    _, expected = case("drift", name)
    first, second, points = atoms(reference, current)
    assert drift.kolmogorov_smirnov(first, second).low == pytest.approx(
        expected["kolmogorov_smirnov"]["value"], rel=1e-9
    )
    assert drift.wasserstein(first, second, points) == pytest.approx(
        expected["wasserstein"]["value"], rel=1e-9
    )
    # Its bins: numpy's "doane" on the reference, and one more for what lies outside.
    edges = np.histogram_bin_edges(reference, bins="doane")
    sides = [np.histogram(each, bins=edges)[0].tolist() for each in (reference, current)]
    sides = [
        [*side, len(each) - sum(side)]
        for side, each in zip(sides, (reference, current), strict=True)
    ]
    assert drift.jensen_shannon(*sides) == pytest.approx(
        expected["jensen_shannon"]["value"], rel=1e-9
    )


@pytest.mark.parametrize("name", ["nodrift", "shift_0.5"])
def test_scores_are_evidentlys(name: str) -> None:
    _, expected = case("drift", f"evidently_num_{name}")
    first, second, points = atoms(REFERENCE, CURRENT[name])
    scaled = drift.wasserstein(first, second, points, scale=float(REFERENCE.std()))
    assert scaled == pytest.approx(expected["wasserstein_stat_test"]["value"], rel=1e-9)
    # Its bins: numpy's "sturges" on both together; empty ones hold a share of 1e-4; base e.
    edges = np.histogram_bin_edges(np.concatenate([REFERENCE, CURRENT[name]]), bins="sturges")
    sides = [np.histogram(each, bins=edges)[0] for each in (REFERENCE, CURRENT[name])]
    if all(side.all() for side in sides):
        assert drift.psi(*sides, smoothing=0) == pytest.approx(
            expected["psi_stat_test"]["value"], rel=1e-9
        )
    else:
        shares = [np.where(side > 0, side / side.sum(), 1e-4) for side in sides]
        by_hand = float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))
        assert by_hand == pytest.approx(expected["psi_stat_test"]["value"], rel=1e-9)


def test_scores_of_categories_are_evidentlys_and_frouros() -> None:
    inputs, expected = case("drift", "evidently_cat")
    reference, window = list(inputs["ref"].values()), list(inputs["cur"].values())
    assert drift.psi(reference, window, smoothing=0) == pytest.approx(
        expected["psi_stat_test"]["value"], rel=1e-9
    )
    assert drift.jensen_shannon(reference, window) * math.sqrt(math.log(2)) == pytest.approx(
        expected["jensenshannon_stat_test"]["value"], rel=1e-9
    )
    _, frouros = case(
        "drift", "frouros_chi2"
    )  # two-sample; Evidently takes the reference for exact
    test = drift.chi_squared(reference, window)
    assert test.value == pytest.approx(frouros["statistic"], rel=1e-9)
    assert chi_squared_tail(test.value, test.degrees) == pytest.approx(frouros["p_value"], rel=1e-9)


@pytest.mark.parametrize(
    ("name", "reference", "current"),
    [
        ("frouros_drift_0.3_1.2", REFERENCE, CURRENT["drift_0.3_1.2"]),
        ("frouros_shift_0.5", REFERENCE, CURRENT["shift_0.5"]),
        ("frouros_small", *SMALL),
    ],
)
def test_distances_are_frouros(name: str, reference: np.ndarray, current: np.ndarray) -> None:
    """But not its PSI, which fills empty bins with the least number that there is."""
    _, expected = case("drift", name)
    first, second, points = atoms(reference, current)
    assert drift.kolmogorov_smirnov(first, second).low == pytest.approx(
        expected["ks"]["statistic"], rel=1e-9
    )
    assert drift.wasserstein(first, second, points) == pytest.approx(
        expected["emd"]["distance"], rel=1e-9
    )


@pytest.mark.parametrize(
    ("name", "mean", "deviation"),
    [("0.5_1.0", 0.5, 1.0), ("0.316_1.0", 0.316, 1.0), ("0_1.3", 0.0, 1.3), ("0.3_1.2", 0.3, 1.2)],
)
def test_psi_of_ever_finer_bins_is_the_divergence_of_the_densities(
    name: str, mean: float, deviation: float
) -> None:
    """So that 0.1 means a third of a standard deviation, whatever the bins."""
    _, expected = case("drift", f"psi_gaussian_limit_{name}")
    cuts = stats.norm.ppf(np.arange(1, 20_000) / 20_000)
    shares = np.diff([0.0, *stats.norm.cdf(cuts, mean, deviation), 1.0])
    window = np.rint(shares * 1e15).astype(np.int64)
    size = drift.psi(np.full(20_000, 10**11), window, smoothing=0.5)
    assert size == pytest.approx(expected["psi_infinite_bins"], rel=5e-3)
    assert size <= expected["psi_infinite_bins"] + 1e-9


def test_an_undrifted_exponential_feature_is_far_off_on_gaussian_bins() -> None:
    """Why a profile holds quantiles and not a mean and a deviation."""
    _, expected = case("drift", "psi_gaussian_bins_exponential_feature")
    seen = np.rint(np.array(expected["bin_probs_true"]) * 1e9).astype(int)
    tenths = np.full(10, 10**8)
    assert drift.psi(tenths, seen, smoothing=0) == pytest.approx(
        expected["psi_with_zero_drift"], rel=1e-4
    )


@given(pairs)
def test_scores_are_scipys(sides: tuple[list[int], list[int]]) -> None:
    reference, window = sides
    p, q = (np.array(side) / sum(side) for side in (reference, window))
    assert drift.jensen_shannon(reference, window) == pytest.approx(
        float(jensenshannon(p, q, base=2)), abs=1e-7
    )
    points = np.arange(len(reference)) ** 1.5
    assert drift.wasserstein(reference, window, points) == pytest.approx(
        float(stats.wasserstein_distance(points, points, reference, window)), rel=1e-9, abs=1e-12
    )
    table = np.array([reference, window])
    table = table[:, table.any(axis=0)]
    if table.shape[1] > 1:
        expected = stats.chi2_contingency(table, correction=False)
        test = drift.chi_squared(reference, window)
        assert test.value == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
        assert test.degrees == expected.dof


@given(pairs)
def test_scores_are_symmetric_and_in_range(sides: tuple[list[int], list[int]]) -> None:
    reference, window = sides
    assert drift.psi(reference, window) == pytest.approx(drift.psi(window, reference), abs=1e-12)
    assert drift.psi(reference, window) >= 0
    assert 0 <= drift.jensen_shannon(reference, window) <= 1
    bracket = drift.kolmogorov_smirnov(reference, window)
    assert 0 <= bracket.low <= bracket.high <= 1


@given(
    st.lists(st.floats(-5, 5), min_size=2, max_size=60),
    st.lists(st.floats(-5, 5), min_size=2, max_size=60),
    st.lists(st.integers(-5, 5), min_size=1, max_size=9, unique=True),
)
def test_the_true_kolmogorov_smirnov_distance_is_in_the_bracket(
    reference: list[float], window: list[float], cuts: list[int]
) -> None:
    edges = sorted(cuts)
    sides = [
        np.bincount(np.searchsorted(edges, x, side="right"), minlength=len(edges) + 1)
        for x in (reference, window)
    ]
    bracket = drift.kolmogorov_smirnov(*sides)
    exact = float(stats.ks_2samp(reference, window, method="asymp").statistic)
    assert bracket.low - 1e-12 <= exact <= bracket.high + 1e-12


def test_a_category_moves_like_the_mean_of_its_indicator() -> None:
    reference, window = [700, 300], [400, 600]
    ones = np.repeat([0, 1], reference)
    assert drift.share_shift(reference, window) == pytest.approx(
        drift.mean_shift(0.6, float(ones.mean()), float(ones.std())), rel=1e-12
    )


def test_a_category_that_training_never_saw_counts() -> None:
    assert drift.share_shift([1000, 0], [900, 100]) > 1
    assert drift.share_shift([1000, 0], [1000, 0]) == 0


def test_a_constant_moves_in_its_own_units() -> None:
    assert drift.mean_shift(3.0, 1.0, 0.0) == 2.0


@pytest.mark.parametrize(
    ("reference", "window", "message"),
    [
        ([1, 2], [1, 2, 3], "do not fit"),
        ([], [], "do not fit"),
        ([1, -1], [1, 1], "not negative"),
        ([1, 2], [0.5, 1], "whole numbers"),
    ],
)
def test_nonsense_is_refused(reference: list[int], window: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        drift.psi(reference, window)


def test_no_rows_have_no_shares() -> None:
    with pytest.raises(ValueError, match="no rows"):
        drift.jensen_shannon([1, 2], [0, 0])
    with pytest.raises(ValueError, match="empty"):
        drift.psi([1, 0], [1, 1], smoothing=0)
    assert drift.chi_squared([1, 2], [0, 0]).degrees == 0


def test_points_must_fit_the_bins() -> None:
    with pytest.raises(ValueError, match="2 bins need 2 points"):
        drift.wasserstein([1, 2], [2, 1], [1.0])
