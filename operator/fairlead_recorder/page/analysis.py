"""What the page says, as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fairlead_operator.stats.aggregates import Aggregate, Binary, Interval, Moments
from fairlead_operator.stats.epochs import stratify
from fairlead_operator.stats.quotients import Quotient
from fairlead_operator.stats.ratio import RatioCheck, check_ratio
from fairlead_operator.stats.sequential import Comparison, compare, confidence_sequence
from fairlead_recorder.store.events import SCALE, Definition, Metric
from fairlead_recorder.store.summary import EpochSummary, Summary, aggregates


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmView:
    """One variant on one metric.

    Attributes:
        name: The variant.
        units: Units that are counted.
        successes: Of a binary metric; None of others.
        value: Rate or mean, None without units.
        interval: Its anytime-valid interval; None where it is undefined.
        lift: Against the control; None for the control.
        lift_interval: Its anytime-valid interval; None where it is undefined.
        p_value: Valid at every look; None for the control.
    """

    name: str
    units: int
    successes: int | None
    value: float | None
    interval: Interval | None
    lift: float | None
    lift_interval: Interval | None
    p_value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricView:
    """One metric."""

    metric: Metric
    arms: tuple[ArmView, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """A lift at one moment; its ends are None where they were undefined."""

    at: int
    lift: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything on the page.

    Attributes:
        summary: What was counted.
        judged: What the operator says, as it was sent; empty where it said nothing.
        metrics: Each metric; the first decides.
        units: Units by variant, over all epochs.
        planned: Units that are planned in all; 0 where no plan is known.
        ratio: The check of the ratio; None where nothing can be said.
        lifts: Of each treatment, the lift on the first metric over time.
        alpha: The level of intervals, over all treatments together.
    """

    summary: Summary
    judged: dict[str, Any]
    metrics: tuple[MetricView, ...]
    units: dict[str, int]
    planned: int
    ratio: RatioCheck | None
    lifts: dict[str, tuple[Point, ...]]
    alpha: float


def view(
    summary: Summary,
    series: Sequence[tuple[int, Sequence[EpochSummary]]],
    judged: dict[str, Any],
) -> View:
    """Return what the page says.

    Args:
        summary: What was counted so far.
        series: What was counted by then, at earlier moments, the oldest first.
        judged: What the operator says.
    """
    definition = summary.definition
    options = dict(definition.analysis)
    alpha = options.get("alpha_percent", 5) / 100
    expected = float(options.get("expected_units", 5_000))
    moments = [*series, (summary.at, summary.epochs)]
    first = definition.metrics[0]
    return View(
        summary=summary,
        judged=judged,
        metrics=tuple(
            _metric(definition, metric, summary.epochs, alpha, expected)
            for metric in definition.metrics
        ),
        units={
            name: sum(epoch.arms[name].units for epoch in summary.epochs)
            for name in definition.variants
        },
        planned=int(options.get("planned_units", 0)),
        ratio=_ratio(summary.epochs),
        lifts={
            name: tuple(
                _point(at, _against(definition, first, epochs, name, alpha, expected))
                for at, epochs in moments
            )
            for name in definition.variants[1:]
        },
        alpha=alpha,
    )


def _metric(
    definition: Definition,
    metric: Metric,
    epochs: Sequence[EpochSummary],
    alpha: float,
    expected: float,
) -> MetricView:
    arms = []
    for name in definition.variants:
        total = _total(metric, aggregates(epochs, metric, name))
        estimate = total.estimate()
        found = None
        if name != definition.variants[0]:
            found = _against(definition, metric, epochs, name, alpha, expected)
        interval = None
        if total.count:
            interval = confidence_sequence(
                estimate, total.count, alpha=alpha, expected_units=expected / 2
            ).interval
        arms.append(
            ArmView(
                name=name,
                units=total.count,
                successes=total.successes if isinstance(total, Binary) else None,
                value=_scaled(metric, None if estimate is None else estimate.value),
                interval=None
                if interval is None
                else Interval(interval.low / _unit(metric), interval.high / _unit(metric)),
                lift=None if found is None else found.lift,
                lift_interval=None if found is None else found.lift_interval,
                p_value=None if found is None else found.difference.p_value,
            )
        )
    return MetricView(metric=metric, arms=tuple(arms))


def _against(
    definition: Definition,
    metric: Metric,
    epochs: Sequence[EpochSummary],
    name: str,
    alpha: float,
    expected: float,
) -> Comparison:
    """Compare a treatment with the control, within epochs; the level is shared by treatments."""
    joined = stratify(
        aggregates(epochs, metric, definition.variants[0]),
        aggregates(epochs, metric, name),
    )
    return compare(
        joined.control,
        joined.treatment,
        max(joined.units, 1.0),
        alpha=alpha / (len(definition.variants) - 1),
        expected_units=expected,
    )


def _point(at: int, found: Comparison) -> Point:
    interval = found.lift_interval
    return Point(
        at,
        found.lift,
        None if interval is None else interval.low,
        None if interval is None else interval.high,
    )


def _ratio(epochs: Sequence[EpochSummary]) -> RatioCheck | None:
    found = [one for epoch in epochs if (one := epoch.ratio()) is not None]
    return check_ratio(found) if found else None


def _total(metric: Metric, counted: Sequence[Aggregate]) -> Binary | Moments | Quotient:
    if metric.type == "binary":
        return sum((one for one in counted if isinstance(one, Binary)), Binary())
    if metric.type == "ratio":
        return sum((one for one in counted if isinstance(one, Quotient)), Quotient())
    return sum((one for one in counted if isinstance(one, Moments)), Moments())


def _unit(metric: Metric) -> int:
    return SCALE if metric.type == "mean" else 1


def _scaled(metric: Metric, value: float | None) -> float | None:
    return None if value is None else value / _unit(metric)
