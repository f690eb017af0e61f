"""Means of arms and their differences, for people: right once, at a sample size fixed before."""

from __future__ import annotations

from dataclasses import dataclass

from fairlead_operator.stats import special
from fairlead_operator.stats.aggregates import Estimate, Interval, Moments, check_share, difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Welch:
    """A treatment's mean against the control's, variances not assumed equal.

    Attributes:
        difference: Treatment minus control; None where an arm has fewer than two units.
        interval: Of the difference; None where it is undefined or nothing varied.
        t: The statistic; None where the interval is.
        degrees: Welch-Satterthwaite degrees of freedom; None where the interval is.
        p_value: Two-sided; None where the interval is.
    """

    difference: Estimate | None
    interval: Interval | None
    t: float | None
    degrees: float | None
    p_value: float | None


def mean_interval(arm: Moments, alpha: float = 0.05) -> Interval | None:
    """Return Student's interval of a mean, None with fewer than two units.

    Raises:
        ValueError: alpha is not between 0 and 1.
    """
    check_share(alpha, "alpha")
    estimate = arm.estimate()
    if estimate is None:
        return None
    half = special.student_quantile(1 - alpha / 2, arm.count - 1) * estimate.standard_error
    return Interval(estimate.value - half, estimate.value + half)


def welch(control: Moments, treatment: Moments, alpha: float = 0.05) -> Welch:
    """Return Welch's t-test of two means.

    Formula: t = (b - a) / sqrt(v_a + v_b) with v = s^2/n, and degrees of freedom
    (v_a + v_b)^2 / (v_a^2/(n_a - 1) + v_b^2/(n_b - 1)).
    Source: Welch, Biometrika 34 (1947) 28.

    Raises:
        ValueError: alpha is not between 0 and 1.
    """
    check_share(alpha, "alpha")
    a, b = control.estimate(), treatment.estimate()
    estimate = difference(a, b)
    if a is None or estimate is None:
        return Welch(difference=None, interval=None, t=None, degrees=None, p_value=None)
    error = estimate.standard_error
    if error == 0:
        return Welch(difference=estimate, interval=None, t=None, degrees=None, p_value=None)
    # Shares of the variance, not variances: the fourth power of a small error underflows.
    share = (a.standard_error / error) ** 2
    degrees = 1 / (share**2 / (control.count - 1) + (1 - share) ** 2 / (treatment.count - 1))
    t = estimate.value / error
    half = special.student_quantile(1 - alpha / 2, degrees) * error
    return Welch(
        difference=estimate,
        interval=Interval(estimate.value - half, estimate.value + half),
        t=t,
        degrees=degrees,
        p_value=2 * special.student_tail(abs(t), degrees),
    )
