"""Looked at a thousand times, the sequence keeps its promise, and finds what is there.

Seeds are fixed. Where a rate must not exceed its limit it stays far below, so that the limit itself
is asserted; where one is compared the tolerance is three standard errors of the binomial.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from fairlead_operator.stats.aggregates import Binary, difference
from fairlead_operator.stats.epochs import stratify
from fairlead_operator.stats.multiplicity import holm
from fairlead_operator.stats.power import plan_rate
from fairlead_operator.stats.sequential import compare, log_e_values, radius, tuning
from fairlead_operator.stats.special import FloatArray

pytestmark = pytest.mark.slow

ALPHA = 0.05
LOOKS, PER_ARM, REPEATS = 1000, 50, 1000
"""A hundred thousand units of two arms, looked at every hundred."""
MINIMUM, OUTCOMES = 500, 10
"""Units per arm, and successes and failures per arm, before the first verdict."""


def looks(
    generator: np.random.Generator, rate: float, n: int, repeats: int, count: int = LOOKS
) -> FloatArray:
    """Return cumulative successes, shape (repeats, looks)."""
    return np.cumsum(generator.binomial(n, rate, size=(repeats, count)), axis=1).astype(np.float64)


def judged(
    a: FloatArray, b: FloatArray, n: int = PER_ARM
) -> tuple[FloatArray, FloatArray, FloatArray, np.ndarray]:
    """Return difference, standard error, units, and whether a verdict is allowed, at each look."""
    units = n * np.arange(1, a.shape[1] + 1, dtype=np.float64)
    p, q = a / units, b / units
    error = np.sqrt((p * (1 - p) + q * (1 - q)) / units)
    least = np.minimum(np.minimum(a, units - a), np.minimum(b, units - b))
    allowed = (units >= MINIMUM) & (least >= OUTCOMES) & (error > 0)
    return q - p, np.where(error > 0, error, 1.0), np.broadcast_to(2 * units, a.shape), allowed


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.3])
def test_nothing_is_found_where_nothing_is_however_often_one_looks(rate: float) -> None:
    generator = np.random.default_rng(20_261)
    a, b = (looks(generator, rate, PER_ARM, REPEATS) for _ in range(2))
    d, error, units, allowed = judged(a, b)
    log_e = log_e_values(d / error, units, tuning(ALPHA, 20_000))
    sequence = np.any((log_e >= -math.log(ALPHA)) & allowed, axis=1).mean()
    pooled = (a + b) / units
    z = d / np.sqrt(np.where(pooled > 0, pooled * (1 - pooled) * 4 / units, 1.0))
    peeked = np.any((np.abs(z) > 1.96) & allowed, axis=1).mean()
    assert sequence <= ALPHA
    assert peeked > 5 * ALPHA


def test_a_skewed_mean_keeps_the_promise_too() -> None:
    generator = np.random.default_rng(20_262)
    found = 0
    rho = tuning(ALPHA, 20_000)
    for _ in range(REPEATS // 2):
        sums = []
        for _arm in range(2):
            values = generator.lognormal(0, 1, size=(LOOKS, PER_ARM))
            sums.append((np.cumsum(values.sum(axis=1)), np.cumsum(np.square(values).sum(axis=1))))
        units = PER_ARM * np.arange(1, LOOKS + 1, dtype=np.float64)
        means = [total / units for total, _ in sums]
        errors = [(squares - total**2 / units) / (units - 1) / units for total, squares in sums]
        z = (means[1] - means[0]) / np.sqrt(errors[0] + errors[1])
        log_e = log_e_values(z, 2 * units, rho)
        found += bool(np.any((log_e >= -math.log(ALPHA)) & (units >= MINIMUM)))
    assert found / (REPEATS // 2) <= ALPHA


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_a_real_effect_is_found_soon_and_covered_all_the_way(rate: float) -> None:
    plan = plan_rate(rate, 0.1)
    generator = np.random.default_rng(20_263)
    n = plan.fixed_units // 2 // 100
    a = looks(generator, rate, n, 600, count=250)
    b = looks(generator, rate * 1.1, n, 600, count=250)
    d, error, units, allowed = judged(a, b, n)
    rho = tuning(ALPHA, plan.expected_units)
    crossed = (log_e_values(d / error, units, rho) >= -math.log(ALPHA)) & allowed
    first = np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1, np.inf) / 100
    missed = (np.abs(d - 0.1 * rate) > radius(units, rho, ALPHA) * error) & allowed
    assert crossed.any(axis=1).mean() >= 0.8
    assert np.median(first) <= 1.3
    assert np.any(missed, axis=1).mean() <= ALPHA
    # The plan is a lower bound: it counts one look only.
    within = (first <= plan.sequential_units / plan.fixed_units).mean()
    assert within >= plan.power - 3 * math.sqrt(0.8 * 0.2 / 600)


def test_two_treatments_share_one_level() -> None:
    generator = np.random.default_rng(20_264)
    control, *others = (looks(generator, 0.05, PER_ARM, 600) for _ in range(3))
    crossed = []
    for b in others:
        d, error, units, allowed = judged(control, b)
        log_e = log_e_values(d / error, units, tuning(ALPHA / 2, 20_000))
        crossed.append(np.where(allowed, log_e, -np.inf).max(axis=1))
    wrong = 0
    for first, second in zip(*crossed, strict=True):
        wrong += any(holm([min(1.0, math.exp(-e)) for e in (first, second)], ALPHA).rejected)
    assert wrong / 600 <= ALPHA


def test_a_ramp_over_falling_rates_is_judged_right_by_epoch_and_wrong_in_a_pool() -> None:
    """90/10, 75/25, 50/50, while the rate falls from 12 % to 3 %: the treatment changes nothing."""
    generator = np.random.default_rng(20_265)
    steps = ((900, 100, 0.12), (750, 250, 0.06), (500, 500, 0.03))
    repeats, per_step = 300, 20
    by_epoch = in_a_pool = 0
    for _ in range(repeats):
        arms: list[tuple[list[Binary], list[Binary]]] = []
        control: list[Binary] = []
        treatment: list[Binary] = []
        for n, m, rate in steps:
            control.append(Binary())
            treatment.append(Binary())
            for _look in range(per_step):
                control[-1] += Binary(n, int(generator.binomial(n, rate)))
                treatment[-1] += Binary(m, int(generator.binomial(m, rate)))
                arms.append((control.copy(), treatment.copy()))
        right = wrong = False
        for a, b in arms:
            joined = stratify(a, b)
            if sum(b, Binary()).count < MINIMUM:
                continue
            judged_right = compare(
                joined.control, joined.treatment, joined.units, expected_units=20_000
            )
            pool_a, pool_b = sum(a, Binary()), sum(b, Binary())
            judged_wrong = compare(
                pool_a.estimate(),
                pool_b.estimate(),
                pool_a.count + pool_b.count,
                expected_units=20_000,
            )
            right |= judged_right.difference.p_value < ALPHA
            wrong |= judged_wrong.difference.p_value < ALPHA
        by_epoch += right
        in_a_pool += wrong
    assert by_epoch / repeats <= ALPHA
    assert in_a_pool / repeats > 0.9


def test_a_real_effect_is_found_over_a_ramp() -> None:
    generator = np.random.default_rng(20_266)
    steps = ((9000, 1000, 0.12), (7500, 2500, 0.06), (5000, 5000, 0.03))
    found, inside = 0, 0
    for _ in range(400):
        control = [Binary(n, int(generator.binomial(n, rate))) for n, _, rate in steps]
        treatment = [Binary(m, int(generator.binomial(m, rate + 0.015))) for _, m, rate in steps]
        joined = stratify(control, treatment)
        judged_now = compare(joined.control, joined.treatment, joined.units).difference
        assert judged_now.interval is not None
        assert difference(joined.control, joined.treatment) is not None
        found += judged_now.interval.low > 0
        inside += 0.015 in judged_now.interval
    assert found / 400 >= 0.8
    assert inside / 400 >= 0.95
