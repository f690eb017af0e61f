"""Differences that may be looked at at every pass: the asymptotic confidence sequence.

It is the normal mixture sequential probability ratio test (mSPRT). With SE the standard error of
the difference d, n the units behind it and R = n * rho^2:

    E  = exp(R (d/SE)^2 / (2 (R + 1))) / sqrt(R + 1)
    CI = d +- SE * sqrt(2 (R + 1)/R * ln(sqrt(R + 1)/alpha))

Under no difference E reaches 1/alpha at any time with probability alpha at most, and all the
intervals together cover the truth with probability 1 - alpha. Sources: Waudby-Smith, Arbour, Sinha,
Kennedy and Ramdas, arXiv:2103.06476 (equations 9, 155, 161); Johari, Koomen, Pekelis and Walsh,
Operations Research 70 (2022) 1806 (mSPRT; tau^2 = rho^2 * n * SE^2 makes both the same).

Two conditions. The promise is asymptotic: ask for a minimum of units and of successes and failures
per arm before the first look (`ready`). And n * SE^2 must settle, which it does while the weights
stay; where they change use `epochs.stratify`, whose `units` keep it constant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fairlead_operator.stats.aggregates import Binary, Estimate, Interval, check_share, difference
from fairlead_operator.stats.special import FloatArray, Floats

DEFAULT_EXPECTED_UNITS = 5000
"""Where the sequence is tightest if nothing better is known; GrowthBook's default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceSequence:
    """What may be said about an estimate at this look, whatever happens at the others.

    Attributes:
        estimate: The estimate judged; None where it is undefined.
        interval: It covers the truth at all looks together with probability 1 - alpha; None where
            the estimate is None or has no standard error.
        log_e: Logarithm of the e-value against `null`; 0 (no evidence) where the interval is None.
        p_value: min(1, 1/E). The least one over the looks so far is valid as well.
        alpha: The level of the interval.
        units: Units behind the estimate.
    """

    estimate: Estimate | None
    interval: Interval | None
    log_e: float
    p_value: float
    alpha: float
    units: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A treatment against the control at this look.

    Attributes:
        difference: Treatment minus control.
        lift: Treatment over control, minus 1; None where the control's mean is not positive.
        lift_interval: Fieller's set for the lift at the same level. It excludes 0 exactly when the
            interval of the difference does. None where it is undefined or unbounded: the control's
            own mean cannot be told from 0 yet.
    """

    difference: ConfidenceSequence
    lift: float | None
    lift_interval: Interval | None


def tuning(alpha: float, expected_units: float) -> float:
    """Return rho, which makes the sequence tightest at the expected units.

    Formula: rho^2 = (-2 ln alpha + ln(-2 ln alpha + 1)) / n*. It must be fixed before the first
    look: choosing it by the data voids the promise.

    Raises:
        ValueError: alpha is not between 0 and 1, or the units are not positive.
    """
    check_share(alpha, "alpha")
    if not (expected_units > 0 and math.isfinite(expected_units)):
        raise ValueError(f"the expected units must be positive, not {expected_units!r}")
    twice = -2 * math.log(alpha)
    return math.sqrt((twice + math.log(twice + 1)) / expected_units)


def log_e_values(z: Floats, units: Floats, rho: float) -> FloatArray:
    """Return log E, elementwise.

    Args:
        z: Estimate minus null, over the standard error.
        units: Units behind each, positive.
        rho: From `tuning`.
    """
    ratio = np.asarray(units, dtype=np.float64) * rho**2
    squares = np.square(np.asarray(z, dtype=np.float64))
    return np.asarray(ratio * squares / (2 * (ratio + 1)) - np.log1p(ratio) / 2, dtype=np.float64)


def radius(units: Floats, rho: float, alpha: float) -> FloatArray:
    """Return the interval's half width in standard errors, elementwise.

    1.96 is what a single look at 5 % has; here it is 3.04 at the expected units.

    Args:
        units: Units behind each, positive.
        rho: From `tuning`.
        alpha: The level, between 0 and 1.
    """
    ratio = np.asarray(units, dtype=np.float64) * rho**2
    return np.asarray(
        np.sqrt(2 * (ratio + 1) / ratio * (np.log1p(ratio) / 2 - math.log(alpha))),
        dtype=np.float64,
    )


def confidence_sequence(
    estimate: Estimate | None,
    units: float,
    *,
    alpha: float = 0.05,
    expected_units: float = DEFAULT_EXPECTED_UNITS,
    null: float = 0.0,
    tuned_for: float | None = None,
) -> ConfidenceSequence:
    """Return the confidence sequence of one estimate at this look.

    Args:
        estimate: A difference, a lift or a mean; None where it is undefined.
        units: Units behind it, of both arms together.
        alpha: The level of the interval.
        expected_units: Units at which a decision is expected; fixed before the first look.
        null: The value that the e-value speaks against.
        tuned_for: The level for which it is tightest at the expected units, fixed before the first
            look; alpha where None. With several arms alpha is a step of Holm's, which moves.

    Raises:
        ValueError: alpha is not between 0 and 1, or a number of units is not positive.
    """
    check_share(alpha, "alpha")
    rho = tuning(alpha if tuned_for is None else tuned_for, expected_units)
    if estimate is None or estimate.standard_error == 0:
        return ConfidenceSequence(
            estimate=estimate, interval=None, log_e=0.0, p_value=1.0, alpha=alpha, units=units
        )
    if not units > 0:
        raise ValueError(f"an estimate from {units!r} units")
    log_e = float(log_e_values((estimate.value - null) / estimate.standard_error, units, rho))
    half = float(radius(units, rho, alpha)) * estimate.standard_error
    return ConfidenceSequence(
        estimate=estimate,
        interval=Interval(estimate.value - half, estimate.value + half),
        log_e=log_e,
        p_value=math.exp(min(0.0, -log_e)),
        alpha=alpha,
        units=units,
    )


def compare(
    control: Estimate | None,
    treatment: Estimate | None,
    units: float,
    *,
    alpha: float = 0.05,
    expected_units: float = DEFAULT_EXPECTED_UNITS,
    tuned_for: float | None = None,
) -> Comparison:
    """Return the difference and the lift of a treatment at this look, with their intervals.

    The lift's interval holds every r that "treatment minus (1 + r) times control" cannot tell from
    0 at this look (E. C. Fieller, JRSS B 16 (1954) 175, with the sequence's radius for z).

    Args:
        control: The control's rate or mean.
        treatment: The treatment's, independent of it.
        units: Units of both arms together, or `epochs.Stratified.units`.
        alpha: The level of the intervals.
        expected_units: Units at which a decision is expected; fixed before the first look.
        tuned_for: As in `confidence_sequence`.

    Raises:
        ValueError: alpha is not between 0 and 1, or a number of units is not positive.
    """
    judged = confidence_sequence(
        difference(control, treatment),
        units,
        alpha=alpha,
        expected_units=expected_units,
        tuned_for=tuned_for,
    )
    lift: float | None = None
    lift_interval: Interval | None = None
    if control is not None and treatment is not None and control.value > 0:
        lift = treatment.value / control.value - 1
        if judged.interval is not None:
            rho = tuning(alpha if tuned_for is None else tuned_for, expected_units)
            half = float(radius(units, rho, alpha))
            lift_interval = fieller(control, treatment, half)
    return Comparison(difference=judged, lift=lift, lift_interval=lift_interval)


def fieller(control: Estimate, treatment: Estimate, half: float) -> Interval | None:
    """Return the lifts that are at most `half` standard errors away, None where unbounded.

    Solves (t - q c)^2 <= half^2 (v_t + q^2 v_c) for q, and takes 1 off.
    """
    a = control.value**2 - (half * control.standard_error) ** 2
    if a <= 0:
        return None
    b = control.value * treatment.value
    c = treatment.value**2 - (half * treatment.standard_error) ** 2
    root = math.sqrt(max(0.0, b * b - a * c))
    return Interval((b - root) / a - 1, (b + root) / a - 1)


def relative_lift(control: Estimate | None, treatment: Estimate | None) -> Estimate | None:
    """Return the lift with its standard error by the delta method, None where it is undefined.

    Formula: SE^2 = v_t / c^2 + t^2 v_c / c^4. GrowthBook's way; with `confidence_sequence` it gives
    GrowthBook's sequential interval of the lift. That interval can disagree with the one of the
    difference about 0, so that decisions here use `compare`.
    """
    if control is None or treatment is None or control.value <= 0:
        return None
    return Estimate(
        treatment.value / control.value - 1,
        math.hypot(
            treatment.standard_error / control.value,
            treatment.value * control.standard_error / control.value**2,
        ),
    )


def ready(control: Binary, treatment: Binary, minimum_units: int = 100, minimum: int = 10) -> bool:
    """Return whether the central limit theorem may be trusted yet.

    Args:
        control: One arm.
        treatment: The other.
        minimum_units: Units that each arm needs.
        minimum: Successes, and failures, that each arm needs.
    """
    return all(
        arm.count >= minimum_units and min(arm.successes, arm.failures) >= minimum
        for arm in (control, treatment)
    )
