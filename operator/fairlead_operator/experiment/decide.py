"""The next step of an Experiment: what to remember, what to show, when to look again."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass

from fairlead_operator.api.reasons import Reason
from fairlead_operator.api.times import duration, write_duration
from fairlead_operator.api.v1alpha1.experimentstatus import MAX_EPOCHS
from fairlead_operator.experiment import checks, guardrails, ratio, results, wording
from fairlead_operator.experiment.facts import Snapshot
from fairlead_operator.experiment.guardrails import Finding, Verdict
from fairlead_operator.experiment.memory import (
    ENDS,
    SPLITTING,
    Arm,
    Epoch,
    Memory,
    Phase,
    Winner,
    slots_of,
)
from fairlead_operator.experiment.results import MetricResult
from fairlead_operator.experiment.target import precedes
from fairlead_operator.stats.ratio import RatioCheck
from fairlead_operator.stats.sequential import DEFAULT_EXPECTED_UNITS
from fairlead_operator.traffic import slots, weights

UNAVAILABLE_AFTER = dt.timedelta(minutes=5)
"""For so long an arm may be without a ready replica; the control answers for it meanwhile."""
SOON_S, WATCH_S, LATER_S = 1.0, 5.0, 60.0
_ASKED = (Reason.SIGNATURE_UNKNOWN, Reason.RECORDER_UNAVAILABLE)
"""What no watch tells of: it has to be asked for again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one pass wants.

    Attributes:
        memory: What status has to remember.
        reason: Of the condition Ready.
        message: For people.
        stalled: Whether waiting alone cannot help.
        results: What the metrics say; None where nothing new was judged: what status has stays.
        ratio: Whether users arrive as the weights say; likewise.
        guardrails: Every guardrail of every arm.
        wake_s: When to look again without being woken; None at rest.
    """

    memory: Memory
    reason: Reason
    message: str
    stalled: bool = False
    results: tuple[MetricResult, ...] | None = None
    ratio: RatioCheck | None = None
    guardrails: tuple[Finding, ...] = ()
    wake_s: float | None = None

    @property
    def phase(self) -> Phase:
        """The phase, which follows from the reason of Ready."""
        if self.reason is Reason.EXPERIMENT_RUNNING:
            return Phase.RUNNING
        return ENDS.get(self.reason, Phase.PENDING)


def decide(snapshot: Snapshot, now: dt.datetime) -> Decision:
    """Return the next step; the same snapshot and the same `now` give the same answer."""
    memory = snapshot.memory
    if memory.ended is not None:
        return _over(snapshot, now)
    if memory.started_at is None:
        return _pending(snapshot, now)
    return _running(snapshot, memory.started_at, now)


# Before the start.


def _pending(snapshot: Snapshot, now: dt.datetime) -> Decision:
    released = dataclasses.replace(snapshot.memory, split=False)
    if snapshot.spec.stopped:
        text = "spec.stopped is true: it does not start"
        return Decision(memory=released, reason=Reason.EXPERIMENT_STOPPED, message=text)
    wait = checks.waits(snapshot)
    if wait is not None:
        return Decision(
            memory=released,
            reason=wait.reason,
            message=wait.message,
            stalled=wait.stalled,
            wake_s=WATCH_S if wait.reason in _ASKED else LATER_S,
        )
    memory = _arranged(snapshot, now)
    if memory == snapshot.memory:
        if memory.split and snapshot.live_since is not None:
            started = dataclasses.replace(memory, started_at=snapshot.live_since)
            return _running(dataclasses.replace(snapshot, memory=started), snapshot.live_since, now)
        # The recorder has been told of the table in status: now the address may be split by it.
        memory = dataclasses.replace(memory, split=True)
    return Decision(
        memory=memory,
        reason=Reason.SPLIT_STARTING,
        message="waits until every router carries the split",
        wake_s=WATCH_S if memory == snapshot.memory else SOON_S,
    )


def _arranged(snapshot: Snapshot, now: dt.datetime) -> Memory:
    """Return the memory with the arms as they are now and a table for the weights.

    The recorder may know the last table already, so that another one is another epoch.
    """
    spec, before = snapshot.spec, snapshot.memory
    arms = tuple(
        Arm(
            name=variant.name,
            model_deployment=variant.model_deployment,
            revision=snapshot.members[variant.model_deployment].revision or "",
            key=snapshot.members[variant.model_deployment].key,
            host=snapshot.members[variant.model_deployment].host,
        )
        for variant in spec.variants
    )
    if before.table and before.names == tuple(arm.name for arm in arms):
        memory, _ = _with_weights(snapshot, now)
    else:
        wanted = wanted_slots(snapshot)
        memory = Memory(
            header=spec.assignment.header.lower(),
            salt=spec.assignment.salt or snapshot.uid,
            table=slots.change(slots.all_to(arms[0].name), wanted).table,
            epochs=(Epoch(number=1, since=now, slots=tuple(wanted.values())),),
        )
    new = dataclasses.replace(memory, arms=arms)
    return new if new == before else dataclasses.replace(new, split=False)


def wanted_slots(snapshot: Snapshot) -> dict[str, int]:
    """Return the slots that each arm is to have by the spec."""
    return weights.slots({variant.name: variant.weight for variant in snapshot.spec.variants})


# While it runs.


def _running(snapshot: Snapshot, started: dt.datetime, now: dt.datetime) -> Decision:
    spec = snapshot.spec
    memory = _with_availability(snapshot, now)
    snapshot = dataclasses.replace(snapshot, memory=memory)
    rails = guardrails.judge(snapshot, now)
    stop = _stop(snapshot, rails, now)
    if stop is not None:
        return _ended(snapshot, stop, now, rails=rails, judged=_judged(snapshot, now))
    judged = _judged(snapshot, now)
    snapshot = dataclasses.replace(snapshot, memory=judged.memory)
    end = _verdict(snapshot, judged, rails, started, now)
    if end is not None:
        return _ended(snapshot, end, now, rails=rails, judged=judged)
    memory, note = _with_weights(snapshot, now)
    left = started + duration(spec.analysis.max_duration) - now
    text = _progress(snapshot, judged, rails)
    return Decision(
        memory=memory,
        reason=Reason.EXPERIMENT_RUNNING,
        message=f"{text}; {note}" if note else text,
        results=judged.results,
        ratio=judged.ratio,
        guardrails=rails,
        wake_s=min(_watch_s(snapshot), max(SOON_S, left.total_seconds())),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """What was counted, judged.

    Attributes:
        memory: With the plan, once it is fixed.
        results: By metric.
        ratio: Whether users arrive as the weights say.
    """

    memory: Memory
    results: tuple[MetricResult, ...] | None = None
    ratio: RatioCheck | None = None


def _judged(snapshot: Snapshot, now: dt.datetime) -> _Judged:
    memory, counted = snapshot.memory, snapshot.aggregates
    if counted is None or counted.settling:
        return _Judged(memory=memory)
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
    return _Judged(
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


def _with_availability(snapshot: Snapshot, now: dt.datetime) -> Memory:
    arms = []
    for arm in snapshot.memory.arms:
        member = snapshot.members.get(arm.model_deployment)
        fine = member is not None and member.ready and member.revision == arm.revision
        since = None if fine else arm.unavailable_since or now
        arms.append(dataclasses.replace(arm, unavailable_since=since))
    return dataclasses.replace(snapshot.memory, arms=tuple(arms))


def _with_weights(snapshot: Snapshot, now: dt.datetime) -> tuple[Memory, str]:
    """Return the memory with the spec's weights: a new epoch where they are others."""
    memory = snapshot.memory
    wanted = wanted_slots(snapshot)
    known = max(snapshot.aggregates.epochs, default=0) if snapshot.aggregates else 0
    last = memory.epochs[-1].number
    # A table that the recorder was told of and no router ever got has made units leave: the next
    # epoch, with whatever table, is one that they do not leave.
    same = slots_of(memory.table, memory.names) == tuple(wanted[name] for name in memory.names)
    if same and known <= last:
        return memory, ""
    if not snapshot.registered:
        return memory, "the weights change when the recorder answers again"
    if len(memory.epochs) >= MAX_EPOCHS:
        return memory, (
            f"the weights have changed {len(memory.epochs) - 1} times, which is all that can be "
            "kept apart: they stay as they are"
        )
    new = Epoch(
        number=max(last, known) + 1,
        since=now,
        slots=tuple(wanted[name] for name in memory.names),
    )
    table = slots.change(memory.table, wanted).table
    return dataclasses.replace(memory, table=table, epochs=(*memory.epochs, new)), ""


# Ends.


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """How it ends.

    Attributes:
        reason: The reason of Ready ever after.
        message: For people.
        winner: The winner, if that is how.
        mismatch: Whether users were found not to arrive as the weights say.
    """

    reason: Reason
    message: str
    winner: Winner | None = None
    mismatch: bool = False


def _stop(snapshot: Snapshot, rails: tuple[Finding, ...], now: dt.datetime) -> _End | None:
    """Return why everybody has to get the control, verdict or not."""
    if snapshot.spec.stopped:
        return _End(
            reason=Reason.EXPERIMENT_STOPPED,
            message="spec.stopped is true: everybody gets the control, the arms are released",
        )
    for rival in snapshot.rivals:
        # Two that began at the same moment: the target has the older one's split.
        if rival.splitting and precedes(rival, snapshot):
            text = f"Experiment {rival.name}, which is older, has the target"
            return _End(reason=Reason.EXPERIMENT_STOPPED, message=text)
    for rail in rails:
        if rail.verdict is Verdict.BREACH:
            text = (
                f"arm {rail.variant} broke guardrail {rail.metric}: {rail.value}, {rail.limit} "
                f"({rail.samples} samples): everybody gets the control"
            )
            return _End(reason=Reason.GUARDRAIL_BREACHED, message=text)
    for arm in snapshot.memory.arms:
        since = arm.unavailable_since
        if since is not None and now - since >= UNAVAILABLE_AFTER:
            text = (
                f"arm {arm.name} (ModelDeployment {arm.model_deployment}) has not been ready since "
                f"{since.isoformat(timespec='seconds')}: everybody gets the control"
            )
            return _End(reason=Reason.ARM_UNAVAILABLE, message=text)
    return None


def _verdict(
    snapshot: Snapshot,
    judged: _Judged,
    rails: tuple[Finding, ...],
    started: dt.datetime,
    now: dt.datetime,
) -> _End | None:
    """Return the verdict, if there is one."""
    if judged.ratio is not None and judged.ratio.mismatch:
        text = (
            "users do not arrive as the weights say (anytime-valid p "
            f"{wording.p_value(judged.ratio.p_value)}): nothing that was counted can be trusted; "
            "look for requests or exposures of one arm that get lost"
        )
        return _End(reason=Reason.SAMPLE_RATIO_MISMATCH, message=text, mismatch=True)
    first = judged.results[0] if judged.results else None
    won = first.winner() if first is not None and not guardrails.missing(rails) else None
    if first is not None and won is not None:
        return _won(first, won.name, now)
    longest = duration(snapshot.spec.analysis.max_duration)
    if now - started >= longest:
        text = f"no winner after {write_duration(longest)}: {_progress(snapshot, judged, rails)}"
        return _End(reason=Reason.INCONCLUSIVE, message=text)
    return None


def _won(metric: MetricResult, name: str, now: dt.datetime) -> _End:
    control = metric.arms[0].name
    shown = metric.front if name == control else next(a for a in metric.arms if a.name == name)
    if shown is None or shown.comparison is None or shown.p_value is None:
        raise AssertionError("a winner without a comparison")
    lift = shown.comparison.lift
    winner = Winner(
        variant=name,
        metric=metric.spec.name,
        at=now,
        lift="none" if lift is None else wording.change(lift),
        lift_interval=wording.changes(shown.comparison.lift_interval),
        p_value=wording.p_value(shown.p_value),
        units=sum(arm.total.count for arm in metric.arms),
    )
    if name == control:
        text = (
            f"every other arm has a worse {metric.spec.name} than {control}: the nearest, "
            f"{shown.name}, {winner.lift} {winner.lift_interval or ''} (p {winner.p_value})"
        )
    else:
        text = (
            f"{name} has a better {metric.spec.name} than {control}: {winner.lift} "
            f"{winner.lift_interval or ''} (p {winner.p_value}, {winner.units} users)"
        )
    return _End(reason=Reason.DECIDED, message=text, winner=winner)


def _ended(
    snapshot: Snapshot,
    end: _End,
    now: dt.datetime,
    *,
    rails: tuple[Finding, ...] = (),
    judged: _Judged | None = None,
) -> Decision:
    memory = dataclasses.replace(
        snapshot.memory,
        ended=end.reason,
        ended_at=now,
        why=end.message,
        winner=end.winner or snapshot.memory.winner,
        mismatch_at=now if end.mismatch else snapshot.memory.mismatch_at,
        breached=tuple(
            (rail.metric, rail.kind, rail.variant, rail.breached_at)
            for rail in rails
            if rail.breached_at is not None
        ),
    )
    memory = dataclasses.replace(memory, split=memory.phase in SPLITTING)
    return Decision(
        memory=memory,
        reason=end.reason,
        message=end.message,
        stalled=_stalled(end.reason),
        results=judged.results if judged else None,
        ratio=judged.ratio if judged else None,
        guardrails=rails,
        wake_s=_watch_s(snapshot) if memory.split else None,
    )


def _over(snapshot: Snapshot, now: dt.datetime) -> Decision:
    """What is over stays as it ended; but while users are split, they are looked after."""
    memory = snapshot.memory
    reason = memory.ended
    if reason is None:
        raise AssertionError("it is not over")
    rails: tuple[Finding, ...] = ()
    if memory.split:
        memory = _with_availability(snapshot, now)
        snapshot = dataclasses.replace(snapshot, memory=memory)
        rails = guardrails.judge(snapshot, now)
        stop = _stop(snapshot, rails, now)
        if stop is not None:
            return _ended(snapshot, stop, now, rails=rails)
    return Decision(
        memory=memory,
        reason=reason,
        message=memory.why,
        stalled=_stalled(reason),
        guardrails=rails,
        wake_s=_watch_s(snapshot) if memory.split else None,
    )


def _stalled(reason: Reason) -> bool:
    return reason in (
        Reason.GUARDRAIL_BREACHED,
        Reason.ARM_UNAVAILABLE,
        Reason.SAMPLE_RATIO_MISMATCH,
    )


def _watch_s(snapshot: Snapshot) -> float:
    """Return when to look again: soon where a breach has to be seen, or an arm is away."""
    away = any(arm.unavailable_since is not None for arm in snapshot.memory.arms)
    return WATCH_S if snapshot.spec.guardrails or away else LATER_S


def _progress(snapshot: Snapshot, judged: _Judged, rails: tuple[Finding, ...]) -> str:
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
