"""The status that a decision gives, and whether it is worth a write."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from fairlead_operator.api.conditions import Note, condition, dated, measured_wait_s
from fairlead_operator.api.reasons import ConditionType, Reason
from fairlead_operator.api.times import write_instant
from fairlead_operator.planning import names
from fairlead_operator.rollout import diagnosis, reporting, sharing
from fairlead_operator.rollout import drift as drifting
from fairlead_operator.rollout import performance as performing
from fairlead_operator.rollout.capacity import needed_replicas, satisfied
from fairlead_operator.rollout.decide import Decision
from fairlead_operator.rollout.drift import DriftView
from fairlead_operator.rollout.performance import PerformanceView
from fairlead_operator.rollout.revision import State, to_status
from fairlead_operator.rollout.snapshot import Finding, Snapshot

_MEASURED = ("replicas", "performance", "measuredAt", "latencyP99")
_MEASURED_OF_REVISION = ("replicas", "readyReplicas")


def compose(
    snapshot: Snapshot,
    decision: Decision,
    problems: Sequence[Finding],
    now: dt.datetime,
    *,
    unaddressed: Finding | None = None,
    carried_out: bool = True,
    drift: DriftView | None = None,
    performance: PerformanceView | None = None,
    latency: str | None = None,
) -> dict[str, Any]:
    """Return the whole status.

    Args:
        snapshot: What exists.
        decision: What is to be.
        problems: What the API server refused, or what is in the way, in this pass.
        now: The instant of the pass.
        unaddressed: Why there is no address of ours, where there is none.
        carried_out: False where nothing of the decision has been done yet.
        drift: What is known of drift; None where nothing is counted.
        performance: What is known of predictions that turned out wrong; None where nobody asks.
        latency: The p99 of the revision that has the address, in words; empty where there is none,
            None where it is not known.
    """
    before = snapshot.resource.get("status") or {}
    shown = decision.active or decision.wanted
    wanted_count, ready_count = snapshot.replicas(shown)
    candidate = decision.wanted if decision.active not in (None, decision.wanted) else None
    meta = snapshot.resource["metadata"]
    status: dict[str, Any] = {
        "observedGeneration": meta["generation"],
        "conditions": _conditions(snapshot, decision, problems, unaddressed, now),
        "revisions": [
            to_status(revision, snapshot.name, *snapshot.replicas(revision))
            | reporting.sizing(snapshot, revision)
            for revision in decision.revisions
        ],
        "version": shown.version,
        "replicas": f"{ready_count}/{max(wanted_count, snapshot.min_replicas)}",
        "url": f"http://{snapshot.name}.{meta['namespace']}.svc",
        "measuredAt": write_instant(now),
    }
    if decision.active is not None:
        status["stableRevision"] = names.short(decision.active.hash)
        if latency is None and before.get("stableRevision") == status["stableRevision"]:
            latency = before.get("latencyP99")
        if latency:
            status["latencyP99"] = latency
    if candidate is not None:
        status["candidateRevision"] = names.short(candidate.hash)
        status["candidate"] = candidate.version
    memory = decision.memory if carried_out else decision.address.before
    if candidate is not None:
        status["weight"] = sharing.percent(memory, candidate.child_name(snapshot.name))
    traffic = sharing.to_status(snapshot, decision.address, memory)
    if traffic is not None:
        status["traffic"] = traffic
    if drift is not None:
        # What was known of another revision says nothing of this one.
        same = before.get("stableRevision") == status.get("stableRevision")
        found = drifting.condition(drift, drifting.present(before) if same else {})
        status["drift"] = drifting.word(found, drift)
        status["conditions"] += dated([found], snapshot.resource, now)
    elif not carried_out and before.get("drift"):
        status["drift"] = before["drift"]
        status["conditions"].append(drifting.present(before))
    if performance is not None:
        found = performing.condition(performance)
        status |= performing.fields(performance)
        status["conditions"] += dated([found], snapshot.resource, now)
    elif not carried_out and performing.present(before):
        status["conditions"].append(performing.present(before))
        if "performance" in before:
            status["performance"] = before["performance"]
    status["reason"] = next(
        c["reason"] for c in status["conditions"] if c["type"] == ConditionType.READY.value
    )
    status |= reporting.fields(before, decision.step, snapshot.readings)
    return status


def refused(
    resource: Mapping[str, Any], reason: Reason, message: str, now: dt.datetime, *, serving: bool
) -> dict[str, Any]:
    """Return the status of a resource that this operator cannot act on, all else kept.

    Args:
        resource: The resource.
        reason: Why, for scripts.
        message: Why, for people.
        now: The instant of the pass.
        serving: Whether a revision that it had before still answers.
    """
    status = dict(resource.get("status") or {})
    finding = Finding(reason=reason.value, message=message, stalled=True)
    conditions = [
        _condition(ConditionType.READY, finding, value=False),
        _condition(ConditionType.RECONCILING, finding, value=False),
        _condition(ConditionType.STALLED, finding, value=True),
    ]
    conditions.append(
        _condition(
            ConditionType.AVAILABLE,
            _available(status.get("version"), serving=serving),
            value=serving,
        )
    )
    status["conditions"] = dated(conditions, resource, now)
    status["observedGeneration"] = resource["metadata"]["generation"]
    status["reason"] = reason.value
    return status


def _available(version: str | None, *, serving: bool) -> Finding:
    if serving:
        text = f"version {version} answers at the address"
        return Finding(reason=Reason.SERVING.value, message=text, stalled=False)
    text = f"no replica of version {version} is ready" if version else "no version is ready"
    return Finding(reason=Reason.NO_READY_REPLICAS.value, message=text, stalled=False)


def worth_writing(before: Mapping[str, Any], after: Mapping[str, Any], now: dt.datetime) -> bool:
    """Whether a status should be written: something was decided, or measured a while ago.

    The message of a condition counts as measured where nothing else of it has changed: what
    Kubernetes says about a pod has numbers, ports and counters in it.
    """
    if _without_measured(before) != _without_measured(after):
        return True
    if _measured(before) == _measured(after):
        return False
    return measured_wait_s(before, now) <= 0


def notes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Note]:
    """Return the Events that the step from one status to the next deserves."""
    found: list[Note] = []
    old = {entry["hash"]: entry for entry in before.get("revisions") or ()}
    new = {entry["hash"]: entry for entry in after.get("revisions") or ()}
    for key, entry in new.items():
        label = f"revision {entry['name']} (version {entry['version']})"
        was = old.get(key, {}).get("state")
        if was is None:
            found.append(Note(reason="RevisionCreated", message=f"{label} was made"))
        if entry["state"] == State.ACTIVE.value and was != State.ACTIVE.value:
            found.append(Note(reason="AddressMoved", message=f"{label} has the address"))
    for key in old.keys() - new.keys():
        label = f"revision {old[key]['name']} (version {old[key]['version']})"
        found.append(Note(reason="RevisionRemoved", message=f"{label} is no longer needed"))
    found += sharing.notes(before.get("traffic"), after.get("traffic"))
    found += drifting.notes(before, after) + performing.notes(before, after)
    ready_before, ready = _ready(before), _ready(after)
    # Not the message: it may have a number in it that is another one with each look.
    told = ("status", "reason", "observedGeneration")
    changed = any(ready_before.get(field) != ready.get(field) for field in told)
    if ready.get("status") == "True" and ready_before.get("status") != "True":
        found.append(Note(reason=ready["reason"], message=ready["message"]))
    elif ready.get("status") == "False" and changed and ready["reason"] not in _QUIET:
        found.append(Note(reason=ready["reason"], message=ready["message"], warning=True))
    return found


_QUIET = frozenset(
    {
        Reason.PROGRESSING.value,
        Reason.TRAFFIC_SPLIT.value,
        Reason.ROUTER_NOT_READY.value,
        Reason.SETTLING.value,
        Reason.VALIDATING.value,
        Reason.ROLLOUT_PROGRESSING.value,
        Reason.ROLLOUT_PAUSED.value,
        Reason.ROLLING_BACK.value,
    }
)


def _conditions(
    snapshot: Snapshot,
    decision: Decision,
    problems: Sequence[Finding],
    unaddressed: Finding | None,
    now: dt.datetime,
) -> list[dict[str, Any]]:
    wanted, active = decision.wanted, decision.active
    serving = unaddressed is None and active is not None and snapshot.replicas(active)[1] > 0
    verdict = _verdict(snapshot, decision, problems)
    ready = verdict.reason == Reason.READY.value
    conditions = [
        _condition(ConditionType.READY, verdict, value=ready),
        _condition(ConditionType.RECONCILING, verdict, value=not ready and not verdict.stalled),
        _condition(ConditionType.STALLED, verdict, value=verdict.stalled),
    ]
    available = unaddressed or _available((active or wanted).version, serving=serving)
    conditions.append(_condition(ConditionType.AVAILABLE, available, value=serving))
    return dated(conditions, snapshot.resource, now)


def _verdict(snapshot: Snapshot, decision: Decision, problems: Sequence[Finding]) -> Finding:
    """Return the reason of Ready: what is in the way first, then pods, then progress.

    Stalled are what no waiting can mend, and what the Deployment has given up waiting for.
    """
    wanted, active = decision.wanted, decision.active
    if problems:
        return problems[0]
    held = decision.desired.problem or decision.address.finding
    rollout = reporting.finding(snapshot, decision.step, wanted, held)
    if rollout is not None:
        return rollout
    if wanted.state is State.ACTIVE and satisfied(snapshot, wanted):
        if held is not None:
            return held
        text = f"version {wanted.version} has the address and all replicas that it needs"
        return Finding(reason=Reason.READY.value, message=text, stalled=False)
    finding = snapshot.findings.get(wanted.hash)
    overdue = diagnosis.overdue(
        snapshot.children.get(("Deployment", wanted.child_name(snapshot.name)))
    )
    prefix = f"revision {wanted.child_name(snapshot.name)}"
    if finding is not None:
        kept = (
            f"; version {active.version} goes on serving"
            if active is not None and active.hash != wanted.hash
            else ""
        )
        return Finding(
            reason=finding.reason,
            message=f"{prefix}: {finding.message}{kept}",
            stalled=finding.stalled or overdue,
        )
    if held is not None:
        return held
    if wanted.state is not State.ACTIVE and active is not None:
        share = sharing.percent(decision.memory, wanted.child_name(snapshot.name))
        if share and satisfied(snapshot, wanted):
            text = f"{prefix} (version {wanted.version}) has {share} % of the traffic"
            return Finding(reason=Reason.TRAFFIC_SPLIT.value, message=text, stalled=False)
    needed = needed_replicas(snapshot, wanted)
    noun = "replica" if needed == 1 else "replicas"
    if wanted.state is State.ACTIVE:
        text = f"{prefix} has fewer than {needed} ready {noun}"
        return Finding(reason=Reason.REPLICAS_UNAVAILABLE.value, message=text, stalled=False)
    if overdue:
        text = f"{prefix} has fewer than {needed} ready {noun} after ten minutes: look at its pods"
        return Finding(reason=Reason.PROGRESS_DEADLINE_EXCEEDED.value, message=text, stalled=True)
    text = f"{prefix} waits for {needed} ready {noun}"
    return Finding(reason=Reason.PROGRESSING.value, message=text, stalled=False)


def _condition(kind: ConditionType, finding: Finding, *, value: bool) -> dict[str, Any]:
    return condition(kind, finding.reason, finding.message, value=value)


def _ready(status: Mapping[str, Any]) -> dict[str, Any]:
    for each in status.get("conditions") or ():
        if each.get("type") == ConditionType.READY.value:
            return dict(each)
    return {}


def _without_measured(status: Mapping[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in status.items() if key not in _MEASURED}
    if "rollout" in rest:
        rest["rollout"] = reporting.decided(rest["rollout"])
    rest["conditions"] = [
        {key: value for key, value in condition.items() if key != "message"}
        for condition in status.get("conditions") or ()
    ]
    rest["revisions"] = [
        {key: value for key, value in entry.items() if key not in _MEASURED_OF_REVISION}
        for entry in status.get("revisions") or ()
    ]
    return rest


def _measured(status: Mapping[str, Any]) -> list[Any]:
    fields = ("replicas", "performance", "rollout", "latencyP99")
    values: list[Any] = [status.get(each) for each in fields]
    values += [condition.get("message") for condition in status.get("conditions") or ()]
    for entry in status.get("revisions") or ():
        values.extend(entry.get(field) for field in _MEASURED_OF_REVISION)
    return values
