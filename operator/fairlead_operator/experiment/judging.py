"""What was counted, judged, and in words what a verdict waits for."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass

from fairlead_operator.experiment import guardrails, ratio, results
from fairlead_operator.experiment.arranging import wanted_slots
from fairlead_operator.experiment.facts import Snapshot
from fairlead_operator.experiment.guardrails import Finding
from fairlead_operator.experiment.memory import Memory
from fairlead_operator.experiment.results import MetricResult
from fairlead_operator.stats.ratio import RatioCheck
from fairlead_operator.stats.sequential import DEFAULT_EXPECTED_UNITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What was counted, judged.

    Attributes:
        memory: With the plan, once it is fixed.
        results: By metric.
        ratio: Whether users arrive as the weights say.
    """

    memory: Memory
    results: tuple[MetricResult, ...] | None = None
    ratio: RatioCheck | None = None


def judge(snapshot: Snapshot, now: dt.datetime) -> Judged:
    """Return what the metrics and the ratio say; nothing where there are no counts to go by."""
    memory, counted = snapshot.memory, snapshot.aggregates
    if counted is None or counted.settling:
        return Judged(memory=memory)
    spec = snapshot.spec
    found = _results(snapshot, memory)
    if memory.plan is None and all(
        arm.total.count >= spec.analysis.min_samples_per_variant for arm in found[0].arms
    ):
        # Before the first look that could decide, and from all arms together.
        totals = [arm.total for arm in found[0].arms]
        fixed = results.plan(spec.metrics[0], spec.analysis, wanted_slots(snapshot), totals, now)
        memory = dataclasses.replace(memory, plan=fixed)
        found = _results(snapshot, memory)
    return Judged(
        memory=memory,
        results=found,
        ratio=ratio.check(counted, memory.names),
    )


def _results(snapshot: Snapshot, memory: Memory) -> tuple[MetricResult, ...]:
    if snapshot.aggregates is None:
        return ()
    expected = memory.plan.expected_units if memory.plan else DEFAULT_EXPECTED_UNITS
    return tuple(
        results.judge(
            metric,
            memory.names,
            snapshot.aggregates,
            snapshot.spec.analysis,
            # The plan is the first metric's; the others' spread is not known beforehand.
            expected if index == 0 else DEFAULT_EXPECTED_UNITS,
        )
        for index, metric in enumerate(snapshot.spec.metrics)
    )


def progress(snapshot: Snapshot, judged: Judged, rails: tuple[Finding, ...]) -> str:
    """Say what a verdict waits for."""
    if snapshot.aggregates is None:
        why = snapshot.refusal or "it does not answer"
        return f"no evidence of the recorder, and users stay split: {why}"
    if not judged.results:
        return "users whose slot has moved are leaving: the next numbers are without them"
    first, analysis = judged.results[0], snapshot.spec.analysis
    least = min(arm.total.count for arm in first.arms)
    if least < analysis.min_samples_per_variant:
        return (
            f"waits for {analysis.min_samples_per_variant} users in each arm: the smallest has "
            f"{least}"
        )
    if not first.ready:
        return (
            f"waits for {results.MINIMUM_OUTCOMES} users with and without {first.spec.name} in "
            "each arm"
        )
    silent = guardrails.missing(rails)
    if silent:
        return f"no verdict without evidence of guardrail {', '.join(silent)}"
    away = [arm.name for arm in snapshot.memory.arms if arm.unavailable_since is not None]
    if away:
        return f"arm {', '.join(away)} is not ready: the control answers for it"
    return f"no arm differs from the control at {analysis.alpha_percent}% yet"
