"""One look at drift: e-value, size and decision."""

from __future__ import annotations

import itertools
import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fairlead_operator.stats import drift
from fairlead_operator.stats.drift import ALPHA, Sample, compare, judge, log_e_value, log_two_sample
from fairlead_runtime.contract.drift import psi
from tests.unit.stats.known import case

EVEN = (100,) * 10


def sample(window: tuple[int, ...], reference: tuple[int, ...] = EVEN, **missing: int) -> Sample:
    return Sample(name="x", reference=reference, window=window, **missing)


def test_noise_is_the_known_quantile() -> None:
    _, expected = case("drift", "drift_counts_nodrift")
    for alpha, limit in expected["psi_null_thresholds"].items():
        assert drift.noise(500, 2000, 10, float(alpha)) == pytest.approx(limit, rel=1e-9)


def test_chance_exceeds_noise_as_often_as_simulated_elsewhere() -> None:
    _, expected = case("drift", "psi_null_calibration")
    for row in expected["rows"]:
        assert drift.noise(row["n"], row["m"], row["B"], 0.01) == pytest.approx(
            row["thr_alpha_0_01"], rel=1e-6
        )


def test_a_window_like_its_reference_does_not_drift() -> None:
    (found,) = judge([sample((100,) * 10)])
    assert not found.significant
    assert not found.drifting
    assert found.log_e < 0
    assert found.psi == 0


def test_a_large_difference_drifts() -> None:
    (found,) = judge([sample((20, 30, 40, 60, 80, 100, 120, 150, 180, 220))])
    assert found.drifting
    assert found.psi == pytest.approx(psi(EVEN, (20, 30, 40, 60, 80, 100, 120, 150, 180, 220)))
    assert found.limit == pytest.approx(0.1 + drift.noise(1000, 1000, 10, ALPHA))


def test_a_significant_but_small_difference_does_not_drift() -> None:
    """With a million rows everything is significant; size is what matters then."""
    reference, window = (100_000,) * 10, tuple(100_000 + 3000 * (-1) ** i for i in range(10))
    (found,) = judge([sample(window, reference)])
    assert found.significant
    assert not found.drifting


def test_chance_is_added_to_what_is_material() -> None:
    """0.15 would be drift with many rows; with a thousand on each side chance adds to 0.1."""
    share = np.array([0.06, 0.07, 0.08, 0.09, 0.1, 0.1, 0.11, 0.12, 0.13, 0.14])
    many = tuple(int(each) for each in share * 1_000_000)
    few = tuple(int(each) for each in share * 1000)
    size = psi((100_000,) * 10, many)
    assert 0.06 < size < 0.1
    material = size - 0.005
    assert judge([sample(many, (100_000,) * 10)], material=material)[0].drifting
    assert not judge([sample(few)], material=material)[0].drifting


def test_too_few_rows_are_shown_and_not_judged() -> None:
    (found,) = judge([sample((0,) * 9 + (999,))])
    assert not found.drifting
    assert found.psi > 1
    assert found.log_e == 0
    assert not judge([sample((0,) * 9 + (5000,), (9,) * 10)])[0].drifting


def test_missing_values_are_drift() -> None:
    (found,) = judge([sample((0,) * 10, window_missing=1000)])
    assert found.drifting
    assert found.rows == 1000


def test_a_feature_that_always_was_missing_does_not_drift() -> None:
    (found,) = judge([sample((0, 0), (0, 0), reference_missing=1000, window_missing=1000)])
    assert not found.drifting
    assert found.psi == 0


def test_more_features_raise_the_bar() -> None:
    one = judge([sample((100,) * 10)])[0].limit
    many = judge([sample((100,) * 10)] * 200)[0].limit
    assert many > one


def test_no_features_are_no_judgement() -> None:
    assert judge([]) == ()


@given(
    st.lists(st.integers(0, 300), min_size=3, max_size=12).flatmap(
        lambda q: st.tuples(
            st.just(q), st.lists(st.integers(0, 300), min_size=len(q), max_size=len(q))
        )
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_of_bins_does_not_matter(
    sides: tuple[list[int], list[int]], random: Random
) -> None:
    order = list(range(len(sides[0])))
    random.shuffle(order)
    shuffled = [[side[i] for i in order] for side in sides]
    assert log_e_value(*shuffled) == pytest.approx(log_e_value(*sides), abs=1e-8)
    assert log_two_sample(*shuffled) == pytest.approx(log_two_sample(*sides), abs=1e-8)
    assert log_two_sample(*sides) == pytest.approx(log_two_sample(*sides[::-1]), abs=1e-8)


@pytest.mark.parametrize("reference", [(0, 0, 0), (3, 1, 0), (50, 30, 20), (1000, 0, 5)])
def test_the_mean_of_the_e_value_is_one_without_drift(reference: tuple[int, ...]) -> None:
    """Over all windows there are, each with the probability that the reference leaves it."""
    n = 12
    null = stats.dirichlet_multinomial(np.array(reference) + 0.5, n)
    windows = [w for w in itertools.product(range(n + 1), repeat=3) if sum(w) == n]
    mean = sum(float(null.pmf(w)) * math.exp(log_e_value(reference, w)) for w in windows)
    assert mean == pytest.approx(1, rel=1e-9)


def test_the_two_sample_e_value_rarely_errs_however_often_one_looks() -> None:
    random = np.random.default_rng(5)
    reached = 0
    for _ in range(400):
        shares = random.dirichlet([2.0] * 10)
        steps = random.multinomial(20, shares, size=(2, 60)).cumsum(axis=1)
        reached += any(
            log_two_sample(a, b) >= math.log(20) for a, b in zip(steps[0], steps[1], strict=True)
        )
    assert reached / 400 <= 0.05


def test_arms_of_the_same_minutes_are_compared() -> None:
    broken = sample((0,) * 9 + (300,), (30,) * 10)
    alike = Sample(name="y", reference=(30,) * 10, window=(30,) * 10)
    found = compare([broken, alike])
    assert [each.drifting for each in found] == [True, False]
    few = sample((0,) * 9 + (199,), (30,) * 10)
    assert not compare([few])[0].drifting


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        log_e_value([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="negative"):
        log_two_sample([1, 2], [1, -2])
    with pytest.raises(ValueError, match="alpha"):
        judge([sample((100,) * 10)], alpha=0.0)
    assert drift.noise(0, 10, 5, 0.01) == math.inf
