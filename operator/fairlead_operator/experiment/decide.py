"""The next step of an Experiment: what to remember, what to show, when to look again."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass

from fairlead_operator.api.reasons import Reason
from fairlead_operator.api.times import duration
from fairlead_operator.experiment import checks, ending, guardrails
from fairlead_operator.experiment.arranging import arranged, with_availability, with_weights
from fairlead_operator.experiment.ending import End
from fairlead_operator.experiment.facts import Snapshot
from fairlead_operator.experiment.guardrails import Finding
from fairlead_operator.experiment.judging import Judged, judge, progress
from fairlead_operator.experiment.memory import ENDS, SPLITTING, Memory, Phase
from fairlead_operator.experiment.results import MetricResult
from fairlead_operator.stats.ratio import RatioCheck

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
    memory = arranged(snapshot, now)
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


def _running(snapshot: Snapshot, started: dt.datetime, now: dt.datetime) -> Decision:
    spec = snapshot.spec
    memory = with_availability(snapshot, now)
    snapshot = dataclasses.replace(snapshot, memory=memory)
    rails = guardrails.judge(snapshot, now)
    stop = ending.stop(snapshot, rails, now)
    if stop is not None:
        return _ended(snapshot, stop, now, rails=rails, judged=judge(snapshot, now))
    judged = judge(snapshot, now)
    snapshot = dataclasses.replace(snapshot, memory=judged.memory)
    end = ending.verdict(snapshot, judged, rails, started, now)
    if end is not None:
        return _ended(snapshot, end, now, rails=rails, judged=judged)
    memory, note = with_weights(snapshot, now)
    left = started + duration(spec.analysis.max_duration) - now
    text = progress(snapshot, judged, rails)
    return Decision(
        memory=memory,
        reason=Reason.EXPERIMENT_RUNNING,
        message=f"{text}; {note}" if note else text,
        results=judged.results,
        ratio=judged.ratio,
        guardrails=rails,
        wake_s=min(_watch_s(snapshot), max(SOON_S, left.total_seconds())),
    )


def _ended(
    snapshot: Snapshot,
    end: End,
    now: dt.datetime,
    *,
    rails: tuple[Finding, ...] = (),
    judged: Judged | None = None,
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
        memory = with_availability(snapshot, now)
        snapshot = dataclasses.replace(snapshot, memory=memory)
        rails = guardrails.judge(snapshot, now)
        stop = ending.stop(snapshot, rails, now)
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
