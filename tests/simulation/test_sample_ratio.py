"""The ratio check at every pass: quiet on clean assignment and ramps, quick on a broken one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fairlead_operator.stats.ratio import (
    DEFAULT_CONCENTRATION,
    Epoch,
    check_ratio,
    log_e_values,
    pearson,
)
from fairlead_operator.stats.special import FloatArray

pytestmark = pytest.mark.slow

ALPHA = 0.01


def looks(
    generator: np.random.Generator, shares: FloatArray, n: int = 100, count: int = 200
) -> FloatArray:
    """Return cumulative counts at each look, shape (looks, arms)."""
    return np.cumsum(generator.multinomial(n, shares, size=count), axis=0).astype(np.float64)


@pytest.mark.parametrize(
    "shares", [(0.5, 0.5), (0.9, 0.1), (0.2, 0.3, 0.5)], ids=["even", "90/10", "three arms"]
)
@pytest.mark.parametrize("concentration", [100.0, DEFAULT_CONCENTRATION])
def test_clean_assignment_is_no_mismatch_at_any_of_200_looks(
    shares: tuple[float, ...], concentration: float
) -> None:
    generator = np.random.default_rng(20_281)
    weights, repeats = np.array(shares), 2000
    alarms = peeked = 0
    for _ in range(repeats):
        counts = looks(generator, weights)
        alarms += log_e_values(counts, weights, concentration).max() >= -math.log(ALPHA)
        expected = counts.sum(axis=1, keepdims=True) * weights
        statistic = ((counts - expected) ** 2 / expected).sum(axis=1)
        # The chi-squared quantile of 1 % with one and with two degrees.
        peeked += statistic.max() > {2: 6.634897, 3: 9.210340}[len(shares)]
    assert alarms / repeats <= ALPHA
    assert peeked / repeats > 5 * ALPHA


def test_52_to_48_is_found_within_20_000_units() -> None:
    generator = np.random.default_rng(20_282)
    even = np.array([0.5, 0.5])
    found = sum(
        log_e_values(looks(generator, np.array([0.52, 0.48])), even, DEFAULT_CONCENTRATION).max()
        >= -math.log(ALPHA)
        for _ in range(1000)
    )
    assert found / 1000 >= 0.95


def test_a_clean_ramp_is_quiet_by_epoch_and_alarms_against_current_weights() -> None:
    generator = np.random.default_rng(20_283)
    repeats, alarms, naive = 300, 0, 0
    for _ in range(repeats):
        first = looks(generator, np.array([0.9, 0.1]), n=500, count=20)
        second = looks(generator, np.array([0.5, 0.5]), n=500, count=20)
        before = Epoch(counts=tuple(int(n) for n in first[-1]), weights=(90, 10))
        ever = any(
            check_ratio([Epoch(counts=(int(a), int(b)), weights=(90, 10))]).mismatch
            for a, b in first
        )
        for a, b in second:
            after = Epoch(counts=(int(a), int(b)), weights=(50, 50))
            ever |= check_ratio([before, after]).mismatch
        alarms += ever
        total = first[-1] + second[-1]
        p = pearson([Epoch(counts=(int(total[0]), int(total[1])), weights=(50, 50))]).p_value
        naive += p is not None and p < 0.001
    assert alarms / repeats <= ALPHA
    assert naive == repeats
