"""The operator's own decision at every look of many Experiments at once.

The formulas are those of `fairlead_operator.stats`, for arrays; `spot_check` holds both together.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.statistics.streams import Counted, FloatArray, Scenario, arrived_share, truth
from fairlead_operator.api.v1alpha1 import AnalysisSpec, MetricSpec
from fairlead_operator.experiment.facts import Aggregates, ArmCounts
from fairlead_operator.experiment.results import MINIMUM_OUTCOMES, judge, plan
from fairlead_operator.stats.aggregates import Binary, Moments
from fairlead_operator.stats.sequential import log_e_values, radius, tuning
from fairlead_operator.stats.special import chi_squared_tail

BoolArray = npt.NDArray[np.bool_]
ALPHA = 0.05
ANALYSIS = AnalysisSpec()
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What every look said, shape (repeats, looks, treatments) where not said otherwise.

    Attributes:
        ready: Whether a verdict was allowed, shape (repeats, looks).
        rejected: Whether the arm was shown to differ from the control.
        difference: Treatment minus control.
        half: Half the width of the interval in status.
        peeked: P-value of the chi-squared (of means: of the normal test) over the pool of all
            epochs, shape (repeats, looks).
        expected: The plan's units, shape (repeats,).
    """

    ready: BoolArray
    rejected: BoolArray
    difference: FloatArray
    half: FloatArray
    peeked: FloatArray
    expected: FloatArray


def metric(scenario: Scenario) -> MetricSpec:
    """Return the scenario's metric as the spec of an Experiment has it."""
    return MetricSpec(
        name="m",
        type="binary" if scenario.kind == "rate" else "mean",
        minimum_effect_percent=scenario.lift,
    )


def look(scenario: Scenario, counted: Counted) -> Looked:
    """Return what every look says."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _look(scenario, counted)


def _look(scenario: Scenario, counted: Counted) -> Looked:
    treatments = scenario.arms - 1
    ready = _ready(scenario, counted)
    expected = _expected(scenario, counted, ready)
    mean, variance = _estimates(scenario, counted)
    shape = (*ready.shape, treatments)
    difference, error, units = (np.zeros(shape) for _ in range(3))
    n = counted.units
    for index in range(treatments):
        both = n[..., 0] * n[..., index + 1]
        weight = np.where(both > 0, both / (n[..., 0] + n[..., index + 1]), 0.0)
        defined = np.isfinite(variance[..., 0]) & np.isfinite(variance[..., index + 1])
        weight = np.where(defined, weight, 0.0)
        whole = weight.sum(axis=2)
        share = np.where(weight > 0, weight / whole[..., None], 0.0)
        gap = np.where(weight > 0, mean[..., index + 1] - mean[..., 0], 0.0)
        spread = np.where(weight > 0, variance[..., index + 1] + variance[..., 0], 0.0)
        difference[..., index] = (share * gap).sum(axis=2)
        error[..., index] = np.sqrt((share**2 * spread).sum(axis=2))
        units[..., index] = 4 * whole
    z = np.where(error > 0, difference / error, 0.0)
    rho = np.array([tuning(ALPHA / treatments, each) for each in expected])[:, None, None]
    held = np.maximum(units, 1.0)
    log_e = np.where(error > 0, _log_e(z, held, rho), 0.0)
    rejected, steps = _holm(log_e)
    half = np.empty(shape)
    for step in range(treatments):
        level = ALPHA / (treatments - step)
        half = np.where(steps == step, _radius(held, rho, level), half)
    return Looked(
        ready=ready,
        rejected=rejected & ready[..., None],
        difference=difference,
        half=np.where(error > 0, half * error, np.inf),
        peeked=_peeked(scenario, counted),
        expected=expected,
    )


def _log_e(z: FloatArray, units: FloatArray, rho: FloatArray) -> FloatArray:
    # `log_e_values` takes one rho for all looks: a row of an Experiment's own is the same product.
    return log_e_values(z, units * rho**2, 1.0)


def _radius(units: FloatArray, rho: FloatArray, level: float) -> FloatArray:
    return radius(units * rho**2, 1.0, level)


def _estimates(scenario: Scenario, counted: Counted) -> tuple[FloatArray, FloatArray]:
    """Return each arm's mean in each epoch, and the square of its standard error."""
    n = counted.units
    mean = counted.total / n
    if scenario.kind == "rate":
        return mean, np.where(n > 0, mean * (1 - mean) / n, np.nan)
    variance = (counted.squares - counted.total * mean) / (n - 1)
    return mean, np.where(n > 1, np.maximum(variance, 0.0) / n, np.nan)


def _ready(scenario: Scenario, counted: Counted) -> BoolArray:
    units, total = counted.units.sum(axis=2), counted.total.sum(axis=2)
    enough = units >= ANALYSIS.min_samples_per_variant
    if scenario.kind == "rate":
        enough &= np.minimum(total, units - total) >= MINIMUM_OUTCOMES
    return np.asarray(enough.all(axis=2))


def _expected(scenario: Scenario, counted: Counted, ready: BoolArray) -> FloatArray:
    """Return each Experiment's plan, made as the operator does when it first has the samples."""
    enough = (counted.units.sum(axis=2) >= ANALYSIS.min_samples_per_variant).all(axis=2)
    found = np.empty(len(ready))
    for index, first in enumerate(enough.argmax(axis=1)):
        shares = next(s for begin, s in reversed(scenario.steps) if begin <= first)
        found[index] = plan(
            metric(scenario),
            ANALYSIS,
            {str(arm): round(10_000 * share) for arm, share in enumerate(shares)},
            [_pool(scenario, counted, index, int(first), arm) for arm in range(scenario.arms)],
            NOW,
        ).expected_units
    return found


def _one(
    scenario: Scenario, counted: Counted, where: tuple[int, int, int, int]
) -> Binary | Moments:
    n, total = int(counted.units[where]), float(counted.total[where])
    if scenario.kind == "rate":
        return Binary(n, int(total))
    return Moments(n, total, float(counted.squares[where])) if n else Moments()


def _pool(scenario: Scenario, counted: Counted, index: int, at: int, arm: int) -> Binary | Moments:
    parts = [_one(scenario, counted, (index, at, epoch, arm)) for epoch in range(scenario.epochs)]
    if scenario.kind == "rate":
        return sum((part for part in parts if isinstance(part, Binary)), Binary())
    return sum((part for part in parts if isinstance(part, Moments)), Moments())


def _holm(log_e: FloatArray) -> tuple[BoolArray, npt.NDArray[np.int64]]:
    """Return which arms are rejected, and at which of Holm's steps each has its interval."""
    treatments = log_e.shape[2]
    order = np.argsort(-log_e, axis=2, kind="stable")
    ranked = np.take_along_axis(log_e, order, axis=2)
    limits = np.array([math.log((treatments - step) / ALPHA) for step in range(treatments)])
    passed = np.logical_and.accumulate(ranked >= limits, axis=2)
    # Who is rejected was judged at its own step, everybody after that at the step that failed.
    reached = np.minimum(np.arange(treatments), passed.sum(axis=2, keepdims=True))
    rejected, steps = np.zeros_like(passed), np.zeros(order.shape, dtype=np.int64)
    np.put_along_axis(rejected, order, passed, axis=2)
    np.put_along_axis(steps, order, reached, axis=2)
    return rejected, steps


def _peeked(scenario: Scenario, counted: Counted) -> FloatArray:
    n, total = counted.units.sum(axis=2), counted.total.sum(axis=2)
    if scenario.kind == "rate":
        rate = total.sum(axis=2, keepdims=True) / n.sum(axis=2, keepdims=True)
        statistic = ((total - n * rate) ** 2 / (n * rate * (1 - rate))).sum(axis=2)
        degrees = scenario.arms - 1
    else:
        mean = total / n
        variance = (counted.squares.sum(axis=2) - total * mean) / (n - 1) / n
        statistic = (mean[..., 1] - mean[..., 0]) ** 2 / (variance[..., 1] + variance[..., 0])
        degrees = 1
    tails = np.vectorize(lambda x: chi_squared_tail(x, degrees), otypes=[np.float64])
    return np.asarray(tails(np.nan_to_num(statistic)), dtype=np.float64)


def true_difference(scenario: Scenario, counted: Counted, *, effect: bool) -> FloatArray:
    """Return what each look's difference estimates, shape (repeats, looks, treatments).

    While outcomes are under way a difference is that share of the final one.
    """
    gaps = np.zeros(scenario.arms - 1)
    gaps[-1] = truth(scenario)[0] * scenario.lift / 100 if effect else 0.0
    share = arrived_share(scenario)[None]
    n = counted.units
    result = np.zeros((*n.shape[:2], len(gaps)))
    for index, gap in enumerate(gaps):
        both = n[..., 0] + n[..., index + 1]
        weight = np.where(both > 0, n[..., 0] * n[..., index + 1] / np.maximum(both, 1), 0.0)
        whole = np.maximum(weight.sum(axis=2), 1e-300)
        result[..., index] = gap * (weight * share).sum(axis=2) / whole
    return result


def spot_check(scenario: Scenario, counted: Counted, looked: Looked, at: tuple[int, int]) -> None:
    """Hold one look to the very code that the operator runs.

    Raises:
        AssertionError: They differ.
    """
    index, look_number = at
    names = [str(arm) for arm in range(scenario.arms)]
    epochs = list(range(scenario.epochs))
    aggregates = Aggregates(
        at=NOW,
        staying={},
        epochs={
            epoch: {
                name: ArmCounts(
                    units=int(counted.units[index, look_number, epoch, arm]),
                    metrics={"m": _one(scenario, counted, (index, look_number, epoch, arm))},
                )
                for arm, name in enumerate(names)
            }
            for epoch in epochs
        },
    )
    found = judge(metric(scenario), names, aggregates, ANALYSIS, float(looked.expected[index]))
    assert found.ready == bool(looked.ready[at])
    for number, arm in enumerate(found.arms[1:]):
        assert arm.comparison is not None
        assert arm.p_value is not None
        interval = arm.comparison.difference.interval
        assert interval is not None
        middle, half = looked.difference[at][number], looked.half[at][number]
        np.testing.assert_allclose((interval.low, interval.high), (middle - half, middle + half),
                                   rtol=1e-6, atol=1e-12)  # fmt: skip
        assert (found.ready and arm.p_value <= ALPHA) == bool(looked.rejected[at][number])
