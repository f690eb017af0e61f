"""Where a rollout stands, in words: for conditions, columns and Events."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from fairlead_operator.api import duration
from fairlead_operator.api.reasons import Reason
from fairlead_operator.rollout.memory import Memory, Outcome, Phase
from fairlead_operator.rollout.verdict import Check, Verdict, shown
from fairlead_operator.rollout.view import RolloutView

_RETRY = "to try it again, annotate it with fairlead.dev/retry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Reason, message and column of a rollout; without a reason the pods speak for themselves."""

    reason: Reason | None = None
    message: str = ""
    stalled: bool = False
    step: str = ""


def told(check: Check) -> str:
    """Return a check as one line: value, limit, sample count, source and end of the window."""
    value = shown(check.value, check.unit) or "nothing measured"
    limit = f", limit {shown(check.limit, check.unit)}" if check.limit is not None else ""
    until = f" until {check.end:%H:%M:%S} UTC" if check.end is not None else ""
    rests = f"{check.samples} samples from {check.source}{until}"
    return f"{check.gate}: {value}{limit}, {rests} ({check.message})"


def undecided(checks: Iterable[Check]) -> str:
    """Return which gates do not say Pass, and why."""
    open_ = [c for c in checks if c.verdict not in (None, Verdict.PASS)]
    parts = [f"{check.gate} {check.verdict} ({check.message})" for check in open_]
    # One reason is often everybody's: nothing counted, too few requests.
    messages = {check.message for check in open_}
    if len(open_) > 1 and len(messages) == 1:
        return f"{open_[0].verdict} at all gates: {messages.pop()}"
    return "; ".join(parts) or "all gates say Pass"


def achieved(memory: Memory, *, stable: bool) -> str:
    """Return on what evidence a candidate was promoted."""
    if memory.ledger is None or memory.phase is not Phase.PROMOTING:
        return "it is validated" + ("" if stable else ", and nothing else served")
    counts = memory.ledger.all.candidate
    share = 100 * counts.errors / counts.requests if counts.requests else 0.0
    return f"after {counts.requests} requests, {shown(share, '%')} of them failed"


def describe(
    memory: Memory,
    view: RolloutView,
    checks: tuple[Check, ...],
    *,
    overdue: bool,
    hold_s: float,
    now: dt.datetime,
) -> Standing:
    """Return where the rollout stands.

    Args:
        memory: What is remembered after this pass.
        view: What the pass knew.
        checks: What the gates say.
        overdue: Whether the deadline has passed.
        hold_s: How long the step is held at least.
        now: The instant of the pass.
    """
    match memory.phase:
        case Phase.IDLE:
            return Standing()
        case Phase.VALIDATING:
            return _validating(memory, view, overdue=overdue, now=now)
        case Phase.STARTING:
            return _starting(memory, view)
        case Phase.ROLLING_BACK | Phase.ROLLED_BACK:
            return _back(memory, view)
        case Phase.PROMOTING:
            text = f"version {memory.version} gets all traffic"
            return _under_way(memory, view, text, "promoting", overdue=overdue)
        case _:
            text, step = _step(memory, view, checks, hold_s, now)
            return _under_way(memory, view, text, step, overdue=overdue)


def _validating(memory: Memory, view: RolloutView, *, overdue: bool, now: dt.datetime) -> Standing:
    if memory.retry_at is not None and now < memory.retry_at:
        text = (
            f"the validation of version {memory.version} could not be carried out "
            f"({view.validation.message or 'its surroundings failed'}); try {memory.attempts + 1} "
            f"begins at {memory.retry_at:%H:%M:%S} UTC"
        )
        return Standing(
            reason=Reason.VALIDATION_RETRYING,
            message=text,
            stalled=overdue,
            step="validating",
        )
    text = f"version {memory.version} is tried out before it gets any traffic"
    if view.validation.message and memory.phase is Phase.VALIDATING:
        text += f": {view.validation.message}"  # why its pod does not run yet
    return Standing(reason=Reason.VALIDATING, message=text, stalled=overdue, step="validating")


def _starting(memory: Memory, view: RolloutView) -> Standing:
    if view.unreachable and view.stable is not None:
        return Standing(
            reason=Reason.OBJECTIVES_UNREACHABLE,
            message=f"version {memory.version}: {view.unreachable}",
            stalled=True,
            step="starting",
        )
    candidate = view.candidate
    if (memory.paused or view.plan.paused) and candidate is not None and candidate.ready:
        text = f"version {memory.version} is ready, and paused before its first step"
        return Standing(reason=Reason.ROLLOUT_PAUSED, message=text, step="starting paused")
    return Standing(step="starting")


def _under_way(
    memory: Memory, view: RolloutView, text: str, step: str, *, overdue: bool
) -> Standing:
    if memory.paused or view.plan.paused:
        how = "annotate it with fairlead.dev/resume" if memory.paused else "spec.rollout.paused"
        text = f"paused ({how}); {text}"
        return Standing(reason=Reason.ROLLOUT_PAUSED, message=text, step=f"{step} paused")
    if overdue:
        text = f"held for longer than {duration.text(view.plan.deadline_s)}: {text}"
        return Standing(reason=Reason.ROLLOUT_HELD, message=text, stalled=True, step=f"{step} held")
    return Standing(reason=Reason.ROLLOUT_PROGRESSING, message=text, step=step)


def _step(
    memory: Memory,
    view: RolloutView,
    checks: tuple[Check, ...],
    hold_s: float,
    now: dt.datetime,
) -> tuple[str, str]:
    if memory.phase is Phase.SHADOW:
        share = view.plan.mirror.slots / 100 if view.plan.mirror else 0
        head, column = f"version {memory.version} gets copies of {share:g}%", f"shadow {share:g}%"
    else:
        index, count = memory.step + 1, len(view.plan.steps)
        share = memory.slots / 100
        head = f"version {memory.version} has {share:g}% (step {index} of {max(index, count)})"
        column = f"{index}/{max(index, count)} {share:g}%"
    if memory.live_at is None:
        return f"{head}, not live yet: {view.live.message or 'the routers take it'}", column
    left = hold_s - (now - memory.live_at).total_seconds()
    wait = [f"its hold ends in {duration.text(left)}"] if left > 0 else []
    open_ = undecided(checks)
    return f"{head}: {'; '.join([*wait, open_])}", column


def _back(memory: Memory, view: RolloutView) -> Standing:
    ending = memory.ending
    outcome = ending.outcome if ending else Outcome.ABORTED
    message = ending.message if ending else ""
    if memory.phase is Phase.ROLLING_BACK:
        text = f"the traffic of version {memory.version} goes back to the stable: {message}"
        return Standing(reason=Reason.ROLLING_BACK, message=text, step="rolling back")
    reason = {
        Outcome.VALIDATION_FAILED: Reason.VALIDATION_FAILED,
        Outcome.ABORTED: Reason.ROLLOUT_ABORTED,
    }.get(outcome, Reason.ROLLED_BACK)
    serving = (
        f"version {view.stable.version} serves" if view.stable is not None else "no version serves"
    )
    text = f"version {memory.version} was refused: {message}; {serving}; {_RETRY}: {_short(memory)}"
    column = "refused" if outcome is Outcome.VALIDATION_FAILED else "rolled back"
    return Standing(reason=reason, message=text, stalled=True, step=column)


def _short(memory: Memory) -> str:
    return (memory.hash or "")[:8]
