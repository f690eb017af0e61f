"""E-processes under the null at every request, and how soon they see what is wrong."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from fairlead_operator.stats.eprocess import Events, against_control, log_e_values
from fairlead_operator.stats.special import FloatArray

pytestmark = pytest.mark.slow


def highest(failed: npt.NDArray[np.bool_], log_odds: float) -> FloatArray:
    """Return the largest log E of each run so far, shape (requests,)."""
    trials = np.arange(1, len(failed) + 1, dtype=np.float64)
    found = log_e_values(np.cumsum(failed).astype(np.float64), trials, log_odds)
    return np.asarray(np.maximum.accumulate(found), dtype=np.float64)


def logit(share: float) -> float:
    return math.log(share / (1 - share))


@pytest.mark.parametrize("limit", [0.01, 0.1])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_a_rate_at_its_limit_is_condemned_at_most_as_often_as_promised(
    limit: float, alpha: float
) -> None:
    generator = np.random.default_rng(20_271)
    repeats = 600
    wrong = sum(
        highest(generator.random(2000) < limit, logit(limit))[-1] >= -math.log(alpha)
        for _ in range(repeats)
    )
    assert wrong / repeats <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / repeats)


def test_a_rate_that_wanders_below_its_limit_is_condemned_even_less() -> None:
    generator = np.random.default_rng(20_272)
    rate = 0.02 * (1 - 0.5 * np.sin(np.arange(2000) / 50) ** 2)
    wrong = sum(
        highest(generator.random(2000) < rate, logit(0.02))[-1] >= math.log(20) for _ in range(600)
    )
    assert wrong / 600 <= 0.05


@pytest.mark.parametrize(
    ("rate", "requests"),
    [(0.5, 20), (0.1, 170), (0.02, 5500)],
    ids=["half failing", "ten times the limit", "twice the limit"],
)
def test_a_regression_is_found_within(rate: float, requests: int) -> None:
    """A limit of 1 % and a tenth of alpha 0.01: in at least 95 of 100 runs."""
    generator = np.random.default_rng(20_273)
    found = sum(
        highest(generator.random(requests) < rate, logit(0.01))[-1] >= math.log(1000)
        for _ in range(300)
    )
    assert found / 300 >= 0.95


@pytest.mark.parametrize("allowed", [0.0, 0.25])
def test_a_treatment_within_its_allowance_is_condemned_at_most_as_often_as_promised(
    allowed: float,
) -> None:
    """Both arms' rates rise and fall together tenfold, which the test must not mind."""
    generator = np.random.default_rng(20_274)
    alpha, repeats, steps = 0.05, 400, 150
    rates = 0.02 * np.exp(1.15 * np.sin(np.arange(steps) / 10))
    wrong = 0
    for _ in range(repeats):
        control = np.cumsum(generator.binomial(180, rates))
        treatment = np.cumsum(generator.binomial(20, rates * (1 + allowed)))
        events = (treatment + control).astype(np.float64)
        log_e = log_e_values(
            treatment.astype(np.float64), events, math.log(20 / 180) + math.log1p(allowed)
        )
        wrong += log_e.max() >= -math.log(alpha)
    assert wrong / repeats <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / repeats)


def test_a_ramp_is_one_bet_and_finds_more_than_the_product_of_its_epochs() -> None:
    """Half as many events again, over 90/10, 75/25 and 50/50."""
    generator = np.random.default_rng(20_275)
    joint = product = 0
    for _ in range(400):
        epochs = [
            Events(
                control=int(generator.binomial(10 * c, 0.06)),
                treatment=int(generator.binomial(10 * t, 0.09)),
                control_share=c,
                treatment_share=t,
            )
            for c, t in ((180, 20), (150, 50), (100, 100))
        ]
        joint += against_control(epochs).breached
        product += sum(against_control([epoch]).log_e for epoch in epochs) >= math.log(100)
    assert joint > product
