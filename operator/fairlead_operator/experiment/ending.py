"""How an Experiment ends: a stop, which gives everybody the control, or a verdict."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from fairlead_operator.api.reasons import Reason
from fairlead_operator.api.times import duration, write_duration
from fairlead_operator.experiment import guardrails, wording
from fairlead_operator.experiment.facts import Snapshot
from fairlead_operator.experiment.guardrails import Finding, Verdict
from fairlead_operator.experiment.judging import Judged, progress
from fairlead_operator.experiment.memory import Winner
from fairlead_operator.experiment.results import MetricResult
from fairlead_operator.experiment.target import precedes

UNAVAILABLE_AFTER = dt.timedelta(minutes=5)
"""For so long an arm may be without a ready replica; the control answers for it meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
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


def stop(snapshot: Snapshot, rails: tuple[Finding, ...], now: dt.datetime) -> End | None:
    """Return why everybody has to get the control, verdict or not."""
    if snapshot.spec.stopped:
        return End(
            reason=Reason.EXPERIMENT_STOPPED,
            message="spec.stopped is true: everybody gets the control, the arms are released",
        )
    for rival in snapshot.rivals:
        # Two that began at the same moment: the target has the older one's split.
        if rival.splitting and precedes(rival, snapshot):
            text = f"Experiment {rival.name}, which is older, has the target"
            return End(reason=Reason.EXPERIMENT_STOPPED, message=text)
    for rail in rails:
        if rail.verdict is Verdict.BREACH:
            text = (
                f"arm {rail.variant} broke guardrail {rail.metric}: {rail.value}, {rail.limit} "
                f"({rail.samples} samples): everybody gets the control"
            )
            return End(reason=Reason.GUARDRAIL_BREACHED, message=text)
    for arm in snapshot.memory.arms:
        since = arm.unavailable_since
        if since is not None and now - since >= UNAVAILABLE_AFTER:
            text = (
                f"arm {arm.name} (ModelDeployment {arm.model_deployment}) has not been ready since "
                f"{since.isoformat(timespec='seconds')}: everybody gets the control"
            )
            return End(reason=Reason.ARM_UNAVAILABLE, message=text)
    return None


def verdict(
    snapshot: Snapshot,
    judged: Judged,
    rails: tuple[Finding, ...],
    started: dt.datetime,
    now: dt.datetime,
) -> End | None:
    """Return the verdict, if there is one."""
    if judged.ratio is not None and judged.ratio.mismatch:
        text = (
            "users do not arrive as the weights say (anytime-valid p "
            f"{wording.p_value(judged.ratio.p_value)}): nothing that was counted can be trusted; "
            "look for requests or exposures of one arm that get lost"
        )
        return End(reason=Reason.SAMPLE_RATIO_MISMATCH, message=text, mismatch=True)
    first = judged.results[0] if judged.results else None
    won = first.winner() if first is not None and not guardrails.missing(rails) else None
    if first is not None and won is not None:
        return _won(first, won.name, now)
    longest = duration(snapshot.spec.analysis.max_duration)
    if now - started >= longest:
        text = f"no winner after {write_duration(longest)}: {progress(snapshot, judged, rails)}"
        return End(reason=Reason.INCONCLUSIVE, message=text)
    return None


def _won(metric: MetricResult, name: str, now: dt.datetime) -> End:
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
    return End(reason=Reason.DECIDED, message=text, winner=winner)
