"""Rates of arms and their differences, for people: right once, at a sample size fixed before."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fairlead_operator.stats import special
from fairlead_operator.stats.aggregates import Binary, Estimate, Interval, check_share, difference
from fairlead_operator.stats.contingency import ChiSquared, chi_squared


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoProportions:
    """A treatment's rate against the control's.

    Attributes:
        difference: Treatment minus control with the unpooled standard error; None where an arm
            has no units.
        interval: Newcombe's interval of the difference; None where it is undefined.
        z: The pooled z statistic; its square is the chi-squared. None where nothing varied.
        p_value: Two-sided, of `z`; None where `z` is.
        lift: Treatment over control, minus 1; None where the control's rate is 0.
        lift_interval: By the logarithm of the ratio; None where an arm has no success.
    """

    difference: Estimate | None
    interval: Interval | None
    z: float | None
    p_value: float | None
    lift: float | None
    lift_interval: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSummary:
    """One arm of a summary.

    Attributes:
        count: Units.
        success: Those with the outcome.
        rate: Their share; None without units.
        interval: Wilson's interval of the rate; None without units.
    """

    count: int
    success: int
    rate: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What an experiment counted, in the words people know.

    Attributes:
        arms: By name, in the order given.
        chi_squared: All arms at once, without correction.
        chi_squared_yates: The same with Yates' correction, which only two arms have.
        p_value: Of `chi_squared`; None where it is undefined.
        p_value_yates: Of `chi_squared_yates`.
        significant: Whether `p_value` is below alpha. It says so falsely far too often when it
            is looked at again and again: decide by `sequential`.
    """

    arms: dict[str, ArmSummary]
    chi_squared: ChiSquared
    chi_squared_yates: ChiSquared
    p_value: float | None
    p_value_yates: float | None
    significant: bool


def wilson(arm: Binary, alpha: float = 0.05) -> Interval | None:
    """Return Wilson's score interval of a rate, None without units.

    Source: E. B. Wilson, JASA 22 (1927) 209. Unlike p +- z*SE it stays inside 0..1 and has width
    where nothing or everything succeeded.

    Raises:
        ValueError: alpha is not between 0 and 1.
    """
    check_share(alpha, "alpha")
    n, rate = arm.count, arm.rate
    if rate is None:
        return None
    z = special.normal_quantile(1 - alpha / 2)
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    # The ends are exact where rounding would leave 0 or 1.
    return Interval(
        0.0 if arm.successes == 0 else max(0.0, centre - half),
        1.0 if arm.failures == 0 else min(1.0, centre + half),
    )


def clopper_pearson(arm: Binary, alpha: float = 0.05) -> Interval | None:
    """Return the exact interval of a rate (never too narrow), None without units.

    Source: Clopper and Pearson, Biometrika 26 (1934) 404; by quantiles of the Beta distribution.

    Raises:
        ValueError: alpha is not between 0 and 1.
    """
    check_share(alpha, "alpha")
    n, x = arm.count, arm.successes
    if n == 0:
        return None
    low = 0.0 if x == 0 else float(special.beta_quantile(alpha / 2, x, n - x + 1))
    high = 1.0 if x == n else float(special.beta_quantile(1 - alpha / 2, x + 1, n - x))
    return Interval(low, high)


def newcombe(control: Binary, treatment: Binary, alpha: float = 0.05) -> Interval | None:
    """Return the interval of treatment minus control, None where an arm has no units.

    Source: Newcombe, Statistics in Medicine 17 (1998) 873, method 10: from the two Wilson
    intervals.

    Raises:
        ValueError: alpha is not between 0 and 1.
    """
    low, high = wilson(control, alpha), wilson(treatment, alpha)
    a, b = control.rate, treatment.rate
    if low is None or high is None or a is None or b is None:
        return None
    return Interval(
        b - a - math.hypot(b - high.low, low.high - a),
        b - a + math.hypot(high.high - b, a - low.low),
    )


def two_proportions(control: Binary, treatment: Binary, alpha: float = 0.05) -> TwoProportions:
    """Return the fixed-sample comparison of two rates.

    Formulas: z = (b - a) / sqrt(p(1-p)(1/n_a + 1/n_b)) with the pooled rate p; the lift's interval
    exp(ln(b/a) +- z sqrt((1-a)/x_a + (1-b)/x_b)) - 1 (Katz et al., Biometrics 34 (1978) 469).

    Raises:
        ValueError: alpha is not between 0 and 1.
    """
    check_share(alpha, "alpha")
    estimate = difference(control.estimate(), treatment.estimate())
    z = _pooled_z(control, treatment)
    lift: float | None = None
    lift_interval: Interval | None = None
    if control.rate and treatment.rate is not None:
        lift = treatment.rate / control.rate - 1
        if treatment.rate:
            spread = special.normal_quantile(1 - alpha / 2) * math.sqrt(
                (1 - control.rate) / control.successes + (1 - treatment.rate) / treatment.successes
            )
            lift_interval = Interval(
                (1 + lift) * math.exp(-spread) - 1, (1 + lift) * math.exp(spread) - 1
            )
    return TwoProportions(
        difference=estimate,
        interval=newcombe(control, treatment, alpha),
        z=z,
        p_value=None if z is None else 2 * special.normal_tail(abs(z)),
        lift=lift,
        lift_interval=lift_interval,
    )


def _pooled_z(control: Binary, treatment: Binary) -> float | None:
    both = control + treatment
    a, b, p = control.rate, treatment.rate, both.rate
    if a is None or b is None or p is None or p in {0.0, 1.0}:
        return None
    return (b - a) / math.sqrt(p * (1 - p) * (1 / control.count + 1 / treatment.count))


def fisher(control: Binary, treatment: Binary) -> float | None:
    """Return the two-sided p-value of Fisher's exact test, None where nothing varied.

    For tables whose smallest expected count is below five, where chi-squared is off. Sums the
    probabilities of all tables with the same margins that are no more likely than this one. Source:
    Fisher (1935); memory and time grow with the smaller margin.
    """
    both = control + treatment
    if 0 in {control.count, treatment.count, both.successes, both.failures}:
        return None
    lowest = max(0, both.successes - control.count)
    x = np.arange(lowest, min(both.successes, treatment.count) + 1, dtype=np.float64)
    log_p = (
        _log_choose(treatment.count, x)
        + _log_choose(control.count, both.successes - x)
        - _log_choose(both.count, np.array([float(both.successes)]))
    )
    # Equal probabilities differ in the last digits: the slack is that of R and scipy.
    chosen = log_p <= log_p[treatment.successes - lowest] + 1e-7
    return min(1.0, math.exp(special.log_sum_exp(log_p[chosen])))


def _log_choose(n: int, k: special.FloatArray) -> special.FloatArray:
    return (
        special.log_gamma(np.array([n + 1.0]))
        - special.log_gamma(k + 1.0)
        - special.log_gamma(n - k + 1.0)
    )


def summarise(arms: Mapping[str, Binary], alpha: float = 0.05) -> Summary:
    """Return counts, rates and the chi-squared test over all arms.

    Args:
        arms: At least one arm by name; the first is the control.
        alpha: The level of `significant` and of the rates' intervals.

    Raises:
        ValueError: No arms, or alpha is not between 0 and 1.
    """
    check_share(alpha, "alpha")
    counted: Sequence[Binary] = tuple(arms.values())
    plain = chi_squared(counted)
    corrected = chi_squared(counted, yates=True)
    return Summary(
        arms={
            name: ArmSummary(
                count=arm.count,
                success=arm.successes,
                rate=arm.rate,
                interval=wilson(arm, alpha),
            )
            for name, arm in arms.items()
        },
        chi_squared=plain,
        chi_squared_yates=corrected,
        p_value=plain.p_value,
        p_value_yates=corrected.p_value,
        significant=plain.p_value is not None and plain.p_value < alpha,
    )
