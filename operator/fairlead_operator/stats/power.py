"""How many units, and how many days, an experiment needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fairlead_operator.stats import special
from fairlead_operator.stats.aggregates import check_share
from fairlead_operator.stats.sequential import radius, tuning


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an experiment needs.

    Attributes:
        fixed_units: Units of all arms together for one look at the end.
        sequential_units: Units at which the confidence sequence has decided with the stated power;
            half of the true effects are found before about `fixed_units`.
        units_per_arm: `sequential_units` by arm, in the order of the shares.
        expected_units: What to pass to `sequential` for its tuning (units of an even split of
            the hardest pair of arms, as `epochs.Stratified.units` counts them).
        alpha: The level of each arm's test, after paying for several arms.
        power: The probability of finding the effect.
        fixed_days: Days for `fixed_units`, the outcome window included; None without a traffic.
        sequential_days: The same for `sequential_units`.
    """

    fixed_units: int
    sequential_units: int
    units_per_arm: tuple[int, ...]
    expected_units: int
    alpha: float
    power: float
    fixed_days: float | None
    sequential_days: float | None


def plan_rate(
    base_rate: float,
    lift: float,
    *,
    shares: Sequence[float] = (1.0, 1.0),
    alpha: float = 0.05,
    power: float = 0.8,
    units_per_day: float | None = None,
    outcome_days: float = 0.0,
) -> Plan:
    """Return the plan to find a relative change of a rate.

    Formula, for all units N and shares w: N = (z_(alpha/2) sqrt(q (1/w_c + 1/w_t)) + z_power
    sqrt(p_c(1-p_c)/w_c + p_t(1-p_t)/w_t))^2 / (p_t - p_c)^2 with q = p(1-p) of the pooled rate.
    Source: Fleiss, Levin and Paik, "Statistical Methods for Rates and Proportions" (2003), chapter
    4; with equal shares that of R's `power.prop.test`.

    Args:
        base_rate: The control's rate, between 0 and 1 exclusive.
        lift: The smallest relative change worth finding: 0.02 is 2 % more, -0.1 is 10 % less.
        shares: Weights of the arms, in any unit; the first is the control's.
        alpha: The level over all arms: each of m treatments is tested at alpha/m.
        power: The probability of finding it.
        units_per_day: New units a day over all arms.
        outcome_days: How long one waits for the last unit's outcome.

    Raises:
        ValueError: A rate or share out of range, no effect, or no traffic.
    """
    check_share(base_rate, "the base rate")
    rate = base_rate * (1 + lift)
    check_share(rate, f"the rate after a lift of {lift}")

    def spread(control: float, treatment: float) -> tuple[float, float]:
        pooled = (control * base_rate + treatment * rate) / (control + treatment)
        return (
            math.sqrt(pooled * (1 - pooled) * (1 / control + 1 / treatment)),
            math.sqrt(base_rate * (1 - base_rate) / control + rate * (1 - rate) / treatment),
        )

    return _plan(rate - base_rate, spread, shares, alpha, power, units_per_day, outcome_days)


def plan_mean(
    standard_deviation: float,
    difference: float,
    *,
    shares: Sequence[float] = (1.0, 1.0),
    alpha: float = 0.05,
    power: float = 0.8,
    units_per_day: float | None = None,
    outcome_days: float = 0.0,
) -> Plan:
    """Return the plan to find an absolute change of a mean.

    Formula: N = (z_(alpha/2) + z_power)^2 s^2 (1/w_c + 1/w_t) / difference^2.

    Args:
        standard_deviation: Of single units, the same in all arms; positive.
        difference: The smallest change worth finding, in the metric's unit.
        shares: As in `plan_rate`.
        alpha: As in `plan_rate`.
        power: As in `plan_rate`.
        units_per_day: As in `plan_rate`.
        outcome_days: As in `plan_rate`.

    Raises:
        ValueError: A deviation or share out of range, no effect, or no traffic.
    """
    if not (standard_deviation > 0 and math.isfinite(standard_deviation)):
        raise ValueError(f"the standard deviation must be positive, not {standard_deviation!r}")

    def spread(control: float, treatment: float) -> tuple[float, float]:
        both = standard_deviation * math.sqrt(1 / control + 1 / treatment)
        return both, both

    return _plan(difference, spread, shares, alpha, power, units_per_day, outcome_days)


def achieved_power(
    base_rate: float,
    lift: float,
    units: float,
    *,
    treatment_share: float = 0.5,
    alpha: float = 0.05,
) -> float:
    """Return the probability that one look at this many units of two arms finds a lift.

    The inverse of `plan_rate`'s formula.

    Raises:
        ValueError: A rate or share out of range, or no units.
    """
    rate = base_rate * (1 + lift)
    for value, name in ((base_rate, "the base rate"), (rate, "the lifted rate"), (alpha, "alpha")):
        check_share(value, name)
    treatment = check_share(treatment_share, "the treatment's share")
    control = 1 - treatment
    if not units > 0:
        raise ValueError(f"units must be positive, not {units!r}")
    pooled = control * base_rate + treatment * rate
    null = math.sqrt(pooled * (1 - pooled) / (control * treatment))
    spread = math.sqrt(base_rate * (1 - base_rate) / control + rate * (1 - rate) / treatment)
    z = special.normal_quantile(1 - alpha / 2)
    return special.normal_tail((z * null - math.sqrt(units) * abs(rate - base_rate)) / spread)


Spread = Callable[[float, float], tuple[float, float]]
"""From two shares to the difference's standard error times sqrt(N), without and with the effect."""


def _plan(
    effect: float,
    spread: Spread,
    shares: Sequence[float],
    alpha: float,
    power: float,
    units_per_day: float | None,
    outcome_days: float,
) -> Plan:
    check_share(alpha, "alpha")
    check_share(power, "power")
    if effect == 0 or not math.isfinite(effect):
        raise ValueError("an effect of nothing takes forever to find: give one that matters")
    if len(shares) < 2 or any(not (share > 0 and math.isfinite(share)) for share in shares):
        raise ValueError(f"a plan needs two arms at least, with shares above 0: {tuple(shares)}")
    if units_per_day is not None and not units_per_day > 0:
        raise ValueError(f"the units a day must be positive, not {units_per_day!r}")
    whole = sum(shares)
    control, *treatments = [share / whole for share in shares]
    # The smallest treatment takes longest; Holm's first step is alpha/m.
    treatment = min(treatments)
    level = alpha / len(treatments)
    null, alternative = spread(control, treatment)
    z, z_power = special.normal_quantile(1 - level / 2), special.normal_quantile(power)
    fixed = ((z * null + z_power * alternative) / effect) ** 2
    even = 4 * control * treatment / (control + treatment)
    rho = tuning(level, fixed * even)

    def decided(units: float) -> bool:
        found = abs(effect) * math.sqrt(units) / alternative
        return found - float(radius(units * even, rho, level)) >= z_power

    low, high = 0.0, fixed
    while not decided(high):
        low, high = high, 2 * high
    while high - low > max(0.5, 1e-9 * high):
        middle = (low + high) / 2
        low, high = (low, middle) if decided(middle) else (middle, high)

    def days(units: float) -> float | None:
        return None if units_per_day is None else units / units_per_day + outcome_days

    return Plan(
        fixed_units=math.ceil(fixed),
        sequential_units=math.ceil(high),
        units_per_arm=tuple(math.ceil(high * share / whole) for share in shares),
        expected_units=math.ceil(fixed * even),
        alpha=level,
        power=power,
        fixed_days=days(math.ceil(fixed)),
        sequential_days=days(math.ceil(high)),
    )
