"""What the metrics say: each arm against the control, by epochs, right at every look."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairlead_operator.api.v1alpha1 import AnalysisSpec, MetricSpec
from fairlead_operator.experiment.facts import Aggregates, ArmCounts, Counted
from fairlead_operator.experiment.memory import Plan
from fairlead_operator.stats import bayes
from fairlead_operator.stats.aggregates import Binary, Estimate, Interval, Moments, difference
from fairlead_operator.stats.contingency import chi_squared
from fairlead_operator.stats.epochs import Stratified, averages, stratify
from fairlead_operator.stats.eprocess import rate_bounds
from fairlead_operator.stats.multiplicity import holm
from fairlead_operator.stats.power import plan_mean, plan_rate
from fairlead_operator.stats.quotients import Quotient
from fairlead_operator.stats.sequential import (
    DEFAULT_EXPECTED_UNITS,
    Comparison,
    compare,
    confidence_sequence,
)
from fairlead_operator.stats.special import normal_tail

MINIMUM_OUTCOMES = 10
"""Successes, and failures, that an arm needs before the central limit theorem is trusted."""
_MANY = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResult:
    """One arm of one metric.

    Attributes:
        name: The arm.
        total: All its units with their outcomes, whatever the epoch.
        interval: Anytime-valid interval of the rate or mean.
        comparison: Against the control; None for the control itself.
        p_value: Adjusted for the number of arms; None for the control.
        level: The level of the comparison's intervals: Holm's step.
        best: Probability to be the best arm; None where it is undefined.
        ready: Whether it has the samples that a verdict needs.
    """

    name: str
    total: Counted
    interval: Interval | None
    comparison: Comparison | None
    p_value: float | None
    level: float
    best: float | None
    ready: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricResult:
    """One metric.

    Attributes:
        spec: The metric.
        arms: The control first.
        peeked: P-value of one look, of a binary metric: the chi-squared over all arms, over
            several epochs Cochran's of two arms. For people.
        alpha: The level over all arms.
    """

    spec: MetricSpec
    arms: tuple[ArmResult, ...]
    peeked: float | None
    alpha: float

    @property
    def ready(self) -> bool:
        """Whether every arm has the samples that a verdict needs."""
        return all(arm.ready for arm in self.arms)

    def gain(self, arm: ArmResult) -> float | None:
        """Return by how much an arm is better than the control, in the unit of the metric."""
        estimate = arm.comparison.difference.estimate if arm.comparison else None
        if estimate is None:
            return None
        return estimate.value if self.spec.goal == "increase" else -estimate.value

    @property
    def front(self) -> ArmResult | None:
        """The best arm but the control, by its estimate; None without any estimate."""
        known = [(gain, arm) for arm in self.arms if (gain := self.gain(arm)) is not None]
        return max(known, key=lambda pair: pair[0])[1] if known else None

    @property
    def leader(self) -> str | None:
        """The arm that is ahead, the control included."""
        front = self.front
        if front is None:
            return None
        return front.name if (self.gain(front) or 0.0) > 0 else self.arms[0].name

    def winner(self) -> ArmResult | None:
        """Return the arm that has won: the control where every other arm is shown to be worse."""
        if not self.ready:
            return None
        shown = [
            (gain, arm)
            for arm in self.arms[1:]
            if (gain := self.gain(arm)) is not None
            and arm.p_value is not None
            and arm.p_value <= self.alpha
        ]
        better = [pair for pair in shown if pair[0] > 0]
        if better:
            return max(better, key=lambda pair: pair[0])[1]
        return self.arms[0] if shown and len(shown) == len(self.arms) - 1 else None


def counts_of(aggregates: Aggregates, arm: str, spec: MetricSpec) -> list[Counted]:
    """Return an arm's outcomes by epoch; without any report its units count as zeros."""
    found: list[Counted] = []
    for epoch in sorted(aggregates.epochs):
        counts = aggregates.epochs[epoch].get(arm, ArmCounts())
        reported = counts.metrics.get(spec.name)
        if reported is not None:
            found.append(reported)
        else:
            found.append(_silent(spec, counts.units))
    return found


def _silent(spec: MetricSpec, units: int) -> Counted:
    """Return what was counted of units that nothing was reported of."""
    if spec.type == "binary":
        return Binary(units, 0)
    nothing = Moments(units)
    return nothing if spec.type == "mean" else Quotient(nothing, nothing, nothing)


def judge(
    spec: MetricSpec,
    arms: Sequence[str],
    aggregates: Aggregates,
    analysis: AnalysisSpec,
    expected_units: float,
) -> MetricResult:
    """Return what a metric says.

    Every arm is compared with the control within epochs (`stratify`), by a confidence sequence
    whose tuning is fixed; Holm's steps give the level of each arm's interval, so that interval and
    p-value agree.

    Args:
        spec: The metric.
        arms: Names of the arms, the control first.
        aggregates: What was counted.
        analysis: Level and minimum samples.
        expected_units: From the plan.
    """
    alpha = analysis.alpha_percent / 100
    tuned_for = alpha / (len(arms) - 1)
    counted = {name: counts_of(aggregates, name, spec) for name in arms}
    control = counted[arms[0]]
    joined = {name: stratify(control, counted[name]) for name in arms[1:]}

    def against(name: str, level: float) -> Comparison:
        one = joined[name]
        return compare(
            one.control,
            one.treatment,
            max(one.units, 1.0),
            alpha=level,
            expected_units=expected_units,
            tuned_for=tuned_for,
        )

    raw = [against(name, tuned_for).difference.p_value for name in arms[1:]]
    adjusted = holm(raw, alpha)
    best = _best(spec, [counted[name] for name in arms])
    results = []
    for index, name in enumerate(arms):
        level = alpha if index == 0 else adjusted.levels[index - 1]
        total = _total(spec, counted[name])
        results.append(
            ArmResult(
                name=name,
                total=total,
                interval=_interval(total, alpha, expected_units / 2),
                comparison=None if index == 0 else against(name, level),
                p_value=None if index == 0 else adjusted.p_values[index - 1],
                level=level,
                best=best[index] if best else None,
                ready=_ready(total, analysis.min_samples_per_variant),
            )
        )
    return MetricResult(
        spec=spec,
        arms=tuple(results),
        peeked=_peeked(results, list(joined.values())),
        alpha=alpha,
    )


def _peeked(results: Sequence[ArmResult], joined: Sequence[Stratified]) -> float | None:
    """Return what one look would have said: chi-squared, over epochs that of Cochran."""
    totals = [arm.total for arm in results if isinstance(arm.total, Binary)]
    if not totals:
        return None
    if all(one.epochs <= 1 for one in joined):
        return chi_squared(totals).p_value
    found = difference(joined[0].control, joined[0].treatment) if len(joined) == 1 else None
    if found is None or found.standard_error == 0:
        return None
    return 2 * normal_tail(abs(found.value) / found.standard_error)


def _total(spec: MetricSpec, counted: Sequence[Counted]) -> Counted:
    if spec.type == "binary":
        return sum((one for one in counted if isinstance(one, Binary)), Binary())
    if spec.type == "ratio":
        return sum((one for one in counted if isinstance(one, Quotient)), Quotient())
    return sum((one for one in counted if isinstance(one, Moments)), Moments())


def _interval(total: Counted, alpha: float, expected_units: float) -> Interval | None:
    if total.count == 0:
        return None
    if isinstance(total, Binary):
        return rate_bounds(total, alpha / 2)
    return confidence_sequence(
        total.estimate(), total.count, alpha=alpha, expected_units=expected_units
    ).interval


def _ready(total: Counted, least: int) -> bool:
    """Return whether the central limit theorem may be trusted for an arm.

    Of a mean it is not known how many units have a value at all; but k of them have (sum of x)^2 at
    most k times the sum of x^2, so that what is asked for here is on the safe side. Values around
    zero, as of a profit, never get there: of them many units are asked for instead.
    """
    if total.count < least:
        return False
    if isinstance(total, Binary):
        return min(total.successes, total.failures) >= MINIMUM_OUTCOMES
    if isinstance(total, Quotient):
        return all(_known(part, least) for part in (total.numerator, total.denominator))
    return _known(total, least)


def _known(total: Moments, least: int) -> bool:
    if total.squares == 0:
        return False
    reporting = float(total.total) ** 2 / float(total.squares)
    return reporting >= MINIMUM_OUTCOMES or total.count >= _MANY * least


def _best(spec: MetricSpec, counted: Sequence[Sequence[Counted]]) -> tuple[float, ...] | None:
    """Return the probabilities to be best: exact for a rate of one epoch, else by means."""
    filled = {i for arm in counted for i, one in enumerate(arm) if one.count}
    if len(filled) == 1 and spec.type == "binary":
        [epoch] = filled
        rates = [one for arm in counted if isinstance(one := arm[epoch], Binary)]
        return bayes.probability_to_be_best(rates, goal=spec.goal).probabilities
    means = [one for one in averages(counted) if one is not None and one.standard_error > 0]
    if len(means) != len(counted):
        return None
    return bayes.best_of_means(means, goal=spec.goal).probabilities


def plan(
    spec: MetricSpec,
    analysis: AnalysisSpec,
    weights: Mapping[str, int],
    totals: Sequence[Counted],
    now: dt.datetime,
) -> Plan:
    """Return the plan, to be fixed before the first verdict and never changed.

    It must not depend on which arm did what: the rate (or the spread) over *all* arms does not tell
    them apart, so that using it does not void the sequence's promise ("blinded" sample size, Gould
    and Shih, Communications in Statistics 21 (1992) 2833).

    Args:
        spec: The first metric.
        analysis: The planned samples, if written, and the level.
        weights: Present weights of the arms, the control first.
        totals: What was counted for each arm.
        now: The instant of the pass.
    """
    if analysis.planned_samples_per_variant is not None:
        return Plan(
            expected_units=2 * analysis.planned_samples_per_variant,
            fixed_at=now,
            source="plannedSamplesPerVariant",
        )
    effect = spec.minimum_effect_percent
    units = None if effect is None else _units(spec, effect / 100, analysis, weights, totals)
    if effect is None or units is None:
        source = "default: write minimumEffectPercent or plannedSamplesPerVariant for a better one"
        return Plan(expected_units=DEFAULT_EXPECTED_UNITS, fixed_at=now, source=source)
    return Plan(
        expected_units=units,
        fixed_at=now,
        source=f"minimumEffectPercent {effect} at the level of all arms together",
    )


def _units(
    spec: MetricSpec,
    effect: float,
    analysis: AnalysisSpec,
    weights: Mapping[str, int],
    totals: Sequence[Counted],
) -> int | None:
    shares = [float(weight) for weight in weights.values() if weight]
    both = _total(spec, totals)
    estimate: Estimate | None = both.estimate()
    if estimate is None or len(shares) < 2 or estimate.value <= 0:
        return None
    lift = effect if spec.goal == "increase" else -effect
    alpha = analysis.alpha_percent / 100
    if isinstance(both, Binary):
        if not 0 < estimate.value * (1 + lift) < 1:
            lift = -lift
        if not 0 < estimate.value * (1 + lift) < 1:
            return None
        found = plan_rate(estimate.value, lift, shares=shares, alpha=alpha)
    else:
        spread = estimate.standard_error * math.sqrt(both.count)
        if spread == 0:
            return None
        found = plan_mean(spread, lift * estimate.value, shares=shares, alpha=alpha)
    return found.expected_units
