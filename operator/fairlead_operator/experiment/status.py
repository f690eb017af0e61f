"""The status that a decision gives, in numbers for people, and whether it is worth a write."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from fairlead_operator.api.conditions import Note, condition, dated, measured_wait_s
from fairlead_operator.api.reasons import ConditionType, Reason
from fairlead_operator.api.times import write_instant
from fairlead_operator.experiment import recommend, wording
from fairlead_operator.experiment.decide import Decision
from fairlead_operator.experiment.facts import Aggregates, ArmCounts, Snapshot
from fairlead_operator.experiment.guardrails import Finding
from fairlead_operator.experiment.memory import slots_of, to_status
from fairlead_operator.experiment.results import ArmResult, MetricResult
from fairlead_operator.stats.aggregates import Binary
from fairlead_operator.stats.ratio import RatioCheck

_SHOWN = ("units", "leader", "lift", "pValue", "ratio", "results", "sampleRatio", "evidence")
"""What stands as it was where a pass measured nothing new."""
_LEAD = ("leader", "lift", "pValue")
"""The columns that say who is ahead."""
_COUNTED = ("units", "departed", "crossed")
"""The same of each arm."""


def compose(
    resource: Mapping[str, Any], snapshot: Snapshot, decision: Decision, now: dt.datetime
) -> dict[str, Any]:
    """Return the whole status.

    Args:
        resource: The Experiment as the API server gave it.
        snapshot: What the decision was made on.
        decision: The decision.
        now: The instant of the pass.
    """
    before = resource.get("status") or {}
    memory = decision.memory
    status: dict[str, Any] = {
        **{key: before[key] for key in _SHOWN if key in before and memory.started_at},
        **to_status(memory),
        "observedGeneration": resource["metadata"]["generation"],
        "phase": decision.phase.value,
        "reason": decision.reason.value,
        "measuredAt": write_instant(now),
    }
    status["arms"] = "/".join(str(v.weight) for v in snapshot.spec.variants)
    status["conditions"] = _conditions(resource, decision, now)
    if memory.started_at and before.get("sampleRatio"):
        status["sampleRatio"] = {**before["sampleRatio"], **status.get("sampleRatio", {})}
    if decision.results:
        _add_results(status, decision.results, decision)
    if decision.ratio is not None:
        _add_ratio(status, decision.ratio, decision)
    if snapshot.aggregates is not None and decision.results:
        _add_counts(status, snapshot.aggregates)
    elif memory.started_at:
        _keep_counts(status, before)
    _add_slots(status, decision)
    rails = [_guardrail(one) for one in decision.guardrails] or before.get("guardrails")
    if rails and memory.started_at:
        status["guardrails"] = rails
    if memory.mismatch_at is not None:
        # Beside its reason a lead in such data would still be read as one.
        for key in _LEAD:
            status.pop(key, None)
    told = recommend.recommendation(snapshot, decision, before.get("recommendation"))
    if told is not None:
        status["recommendation"] = told
    return status


def refused(resource: Mapping[str, Any], message: str, now: dt.datetime) -> dict[str, Any]:
    """Return the status of an Experiment whose spec this operator cannot read, all else kept."""
    status = dict(resource.get("status") or {})
    reason = Reason.INVALID_SPEC.value
    status["conditions"] = dated(
        [
            condition(ConditionType.READY, reason, message, value=False),
            condition(ConditionType.RECONCILING, reason, message, value=False),
            condition(ConditionType.STALLED, reason, message, value=True),
        ],
        resource,
        now,
    )
    status["observedGeneration"] = resource["metadata"]["generation"]
    status["reason"] = reason
    return status


def worth_writing(before: Mapping[str, Any], after: Mapping[str, Any], now: dt.datetime) -> bool:
    """Whether a status should be written: something was decided, or measured a while ago."""
    if _decided(before) != _decided(after):
        return True
    if _without_time(before) == _without_time(after):
        return False
    return measured_wait_s(before, now) <= 0


def notes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Note]:
    """Return the Events that the step from one status to the next deserves."""
    found: list[Note] = []
    old = {c["type"]: c for c in before.get("conditions") or ()}
    new = {c["type"]: c for c in after.get("conditions") or ()}
    ready, was = new.get("Ready", {}), old.get("Ready", {})
    if ready.get("reason") != was.get("reason"):
        stalled = new.get("Stalled", {}).get("status") == "True"
        found.append(Note(reason=ready["reason"], message=ready["message"], warning=stalled))
    epochs = len((after.get("assignment") or {}).get("epochs") or ())
    known = len((before.get("assignment") or {}).get("epochs") or ())
    if known and epochs > known:
        text = f"the weights are {after['arms']} from now on: epoch {epochs}"
        found.append(Note(reason="WeightsChanged", message=text))
    return found


def _conditions(
    resource: Mapping[str, Any], decision: Decision, now: dt.datetime
) -> list[dict[str, Any]]:
    waiting = decision.phase.value == "Pending"
    ready = not waiting and not decision.stalled
    reason, message = decision.reason.value, decision.message
    return dated(
        [
            condition(ConditionType.READY, reason, message, value=ready),
            condition(
                ConditionType.RECONCILING, reason, message, value=waiting and not decision.stalled
            ),
            condition(ConditionType.STALLED, reason, message, value=decision.stalled),
        ],
        resource,
        now,
    )


def _add_results(
    status: dict[str, Any], results: Sequence[MetricResult], decision: Decision
) -> None:
    status["results"] = [_metric(one) for one in results]
    first = results[0]
    status["units"] = sum(arm.total.count for arm in first.arms)
    for key in _LEAD:
        status.pop(key, None)
    winner = decision.memory.winner
    leader = winner.variant if winner is not None else first.leader
    if leader is not None:
        status["leader"] = leader
    front = first.front
    if front is not None and front.comparison is not None and front.p_value is not None:
        lift = front.comparison.lift
        if lift is not None:
            interval = wording.changes(front.comparison.lift_interval)
            status["lift"] = " ".join(filter(None, (wording.change(lift), interval)))
        status["pValue"] = wording.p_value(front.p_value)


def _metric(result: MetricResult) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": result.spec.name,
        "type": result.spec.type,
        "goal": result.spec.goal,
        "arms": [_arm(arm) for arm in result.arms],
    }
    if result.peeked is not None:
        entry["pValue"] = wording.p_value(result.peeked)
        entry["significant"] = result.peeked < result.alpha
    return entry


def _arm(arm: ArmResult) -> dict[str, Any]:
    entry: dict[str, Any] = {"variant": arm.name, "units": arm.total.count}
    total = arm.total
    value: str | None = None
    if isinstance(total, Binary):
        entry["outcomes"] = total.successes
        value = None if total.rate is None else wording.share(total.rate)
        interval = wording.shares(arm.interval)
    else:
        value = None if total.mean is None else wording.number(total.mean)
        interval = wording.numbers(arm.interval)
    shown: dict[str, str | None] = {"value": value, "interval": interval}
    if arm.comparison is not None and arm.p_value is not None:
        lift = arm.comparison.lift
        shown["lift"] = None if lift is None else wording.change(lift)
        shown["liftInterval"] = wording.changes(arm.comparison.lift_interval)
        shown["pValue"] = wording.p_value(arm.p_value)
    if arm.best is not None:
        shown["probabilityBest"] = f"{100 * arm.best:.1f}%"
    entry.update({key: text for key, text in shown.items() if text is not None})
    return entry


def _add_ratio(status: dict[str, Any], check: RatioCheck, decision: Decision) -> None:
    entry: dict[str, Any] = dict(status.get("sampleRatio") or {})
    entry["sequentialPValue"] = wording.p_value(check.p_value)
    entry["expected"] = [round(n) for n in check.pearson.expected]
    entry.pop("pValue", None)
    least = check.pearson.minimum_expected
    if check.pearson.p_value is not None and least is not None and least >= 5:
        entry["pValue"] = wording.p_value(check.pearson.p_value)
    status["sampleRatio"] = entry
    broken = decision.memory.mismatch_at is not None
    shown = entry.get("pValue", "")
    status["ratio"] = " ".join(filter(None, ("mismatch" if broken else "ok", shown)))


def _add_counts(status: dict[str, Any], aggregates: Aggregates) -> None:
    for entry in status.get("variants") or ():
        counts = [arms.get(entry["name"], ArmCounts()) for arms in aggregates.epochs.values()]
        entry["units"] = sum(one.units for one in counts)
        entry["departed"] = sum(one.departed for one in counts)
        entry["crossed"] = sum(one.crossed for one in counts)
    status["evidence"] = {
        "at": write_instant(aggregates.at),
        "unexposedOutcomes": aggregates.unexposed,
        "outcomesOutsideWindow": aggregates.outside,
        "gaps": aggregates.gaps,
        "gapSeconds": round(aggregates.gap_seconds),
    }


def _keep_counts(status: dict[str, Any], before: Mapping[str, Any]) -> None:
    known = {entry["name"]: entry for entry in before.get("variants") or ()}
    for entry in status.get("variants") or ():
        was = known.get(entry["name"], {})
        entry.update({key: was[key] for key in _COUNTED if key in was})


def _add_slots(status: dict[str, Any], decision: Decision) -> None:
    memory = decision.memory
    if not memory.table:
        return
    found = slots_of(memory.table, memory.names)
    for entry, slots in zip(status.get("variants") or (), found, strict=True):
        entry["slots"] = slots


def _guardrail(finding: Finding) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "metric": finding.metric,
        "kind": finding.kind,
        "variant": finding.variant,
        "verdict": finding.verdict.value,
        "limit": finding.limit,
        "samples": finding.samples,
    }
    if finding.value is not None:
        entry["value"] = finding.value
    if finding.until is not None:
        entry["until"] = write_instant(finding.until)
    if finding.breached_at is not None:
        entry["breachedAt"] = write_instant(finding.breached_at)
    return entry


def _decided(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must be written at once."""
    rest = {
        key: value
        for key, value in status.items()
        if key not in (*_SHOWN, "measuredAt", "conditions", "variants", "guardrails")
    }
    rest["conditions"] = [
        {key: value for key, value in condition.items() if key != "message"}
        for condition in status.get("conditions") or ()
    ]
    rest["variants"] = [
        {key: value for key, value in arm.items() if key not in _COUNTED}
        for arm in status.get("variants") or ()
    ]
    rest["breached"] = [
        (one["metric"], one["kind"], one["variant"], one["verdict"])
        for one in status.get("guardrails") or ()
        if one["verdict"] in ("Breach", "SharedBreach")
    ]
    rest["mismatch"] = (status.get("sampleRatio") or {}).get("mismatchAt")
    return rest


def _without_time(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return a status without the instants that pass by themselves."""
    rest = {key: value for key, value in status.items() if key not in ("measuredAt", "evidence")}
    rest["evidence"] = {k: v for k, v in (status.get("evidence") or {}).items() if k != "at"}
    rest["guardrails"] = [
        {key: value for key, value in one.items() if key != "until"}
        for one in status.get("guardrails") or ()
    ]
    return rest
