"""Guardrails: limits that an arm must not break, judged so that one may look at every pass.

Requests of one user depend on each other, and arms with the same number of users can have different
numbers of requests. So errors are compared per *request* of each arm, and metrics per *user*.

An e-value of everything since the start finds what is always a little too bad, and is blind to what
breaks after a good week: that drowns. So the last hour is judged by itself too, hour k with a level
of alpha / (2 k (k + 1)). All levels together sum to alpha.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from fairlead_operator.api.v1alpha1 import GuardrailSpec
from fairlead_operator.api.v1alpha1.experimentanalysis import MEASURED
from fairlead_operator.experiment import wording
from fairlead_operator.experiment.facts import Aggregates, ArmCounts, Snapshot
from fairlead_operator.stats.aggregates import Binary
from fairlead_operator.stats.eprocess import Events, Evidence, against_control, against_limit
from fairlead_operator.traffic.counts import Counts

ALPHA = 0.01
"""How often guardrails that are all kept may stop an Experiment, over all of them and all arms."""
BLOCK = dt.timedelta(hours=1)
"""How long a window may be that is judged by itself."""
STALE_AFTER = dt.timedelta(minutes=5)
MINIMUM = 100
"""Requests or users without which nothing is called a pass."""


class Verdict(StrEnum):
    """What is known of a guardrail."""

    PASS = "Pass"  # noqa: S105 - not a password
    """There is evidence, and not against it."""
    BREACH = "Breach"
    """It is broken: everybody gets the control."""
    SHARED = "SharedBreach"
    """It is broken, but with the control as well: reported, because the control would not help."""
    INCONCLUSIVE = "Inconclusive"
    """Too little was counted yet."""
    NO_EVIDENCE = "NoEvidence"
    """Nothing was counted."""
    STALE = "Stale"
    """What was counted is too old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One guardrail of one arm.

    Attributes:
        metric: Its metric.
        kind: Which limit: `max`, `maxBasisPoints` or `maxIncreasePercent`.
        variant: The arm.
        verdict: What is known.
        value: What was measured, in words.
        limit: What is allowed, in words.
        samples: Requests or users behind the value.
        until: End of the window.
        breached_at: When it was first broken.
    """

    metric: str
    kind: str
    variant: str
    verdict: Verdict
    value: str | None
    limit: str
    samples: int
    until: dt.datetime | None
    breached_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """Events of one arm and of the control, by window or epoch.

    Attributes:
        mine: The arm's.
        control: The control's.
        exposures: What each was exposed to: shares of the events if the rates were equal.
        until: End of the last window.
        block: The number of the hour, from 1, in which the last window lies, where the windows are
            such that it can be judged by itself.
    """

    mine: tuple[Binary, ...] = ()
    control: tuple[Binary, ...] = ()
    exposures: tuple[tuple[float, float], ...] = ()
    until: dt.datetime | None = None
    block: int | None = None

    def last(self) -> _Seen:
        """Return the last window alone."""
        return _Seen(mine=self.mine[-1:], control=self.control[-1:], exposures=self.exposures[-1:])


def judge(snapshot: Snapshot, now: dt.datetime) -> tuple[Finding, ...]:
    """Return every guardrail of every arm but the control."""
    rails = snapshot.spec.guardrails
    arms = snapshot.memory.names
    if not rails or len(arms) < 2:
        return ()
    alpha = ALPHA / (len(rails) * (len(arms) - 1))
    before = {(m, k, v): at for m, k, v, at in snapshot.memory.breached}
    return tuple(
        _judge(snapshot, rail, arm, alpha, before, now) for rail in rails for arm in arms[1:]
    )


def _judge(
    snapshot: Snapshot,
    rail: GuardrailSpec,
    arm: str,
    alpha: float,
    before: dict[tuple[str, str, str], dt.datetime],
    now: dt.datetime,
) -> Finding:
    seen = _seen(snapshot, rail, arm)
    mine, control = sum(seen.mine, Binary()), sum(seen.control, Binary())
    kind = _kind(rail)
    verdict = _verdict(rail, seen, mine.count, alpha, now)
    at = before.get((rail.metric, kind, arm))
    if at is None and verdict is Verdict.BREACH:
        at = now
    return Finding(
        metric=rail.metric,
        kind=kind,
        variant=arm,
        verdict=Verdict.BREACH if at is not None else verdict,
        value=_value(rail, mine, control),
        limit=_limit(rail),
        samples=mine.count,
        until=seen.until,
        breached_at=at,
    )


def _kind(rail: GuardrailSpec) -> str:
    if rail.max is not None:
        return "max"
    return "maxBasisPoints" if rail.max_basis_points is not None else "maxIncreasePercent"


def _verdict(
    rail: GuardrailSpec, seen: _Seen, samples: int, alpha: float, now: dt.datetime
) -> Verdict:
    if samples == 0:
        return Verdict.NO_EVIDENCE
    broken = [_broken(rail, seen, alpha / 2)]
    if seen.block is not None:
        broken.append(_broken(rail, seen.last(), alpha / (2 * seen.block * (seen.block + 1))))
    for worst in (Verdict.BREACH, Verdict.SHARED):
        if worst in broken:
            return worst
    if seen.until is not None and now - seen.until > STALE_AFTER:
        return Verdict.STALE
    return Verdict.PASS if samples >= MINIMUM else Verdict.INCONCLUSIVE


def _broken(rail: GuardrailSpec, seen: _Seen, alpha: float) -> Verdict | None:
    relative = _relative(seen, rail.max_increase_percent or 0, alpha)
    if rail.max_increase_percent is not None:
        return Verdict.BREACH if relative.breached else None
    limit = _allowed(rail)
    if not against_limit(sum(seen.mine, Binary()), limit, alpha).breached:
        return None
    # With the control over the limit as well, going back to it helps only where it is better.
    control = sum(seen.control, Binary()).rate
    shared = control is not None and control > limit
    return Verdict.SHARED if shared and not relative.breached else Verdict.BREACH


def _relative(seen: _Seen, allowed_percent: int, alpha: float) -> Evidence:
    events = [
        Events(
            control=theirs.successes,
            treatment=mine.successes,
            control_share=exposed,
            treatment_share=exposure,
        )
        for mine, theirs, (exposure, exposed) in zip(
            seen.mine, seen.control, seen.exposures, strict=True
        )
        if exposure > 0 and exposed > 0
    ]
    return against_control(events, allowed_increase=allowed_percent / 100, alpha=alpha)


def _allowed(rail: GuardrailSpec) -> float:
    """Return the share that an absolute limit allows: a p99 allows 1 % above it."""
    return 0.01 if rail.max is not None else (rail.max_basis_points or 0) / 10_000


def _limit(rail: GuardrailSpec) -> str:
    if rail.max is not None:
        return f"p99 at most {rail.max} ms"
    if rail.max_basis_points is not None:
        return f"at most {wording.share(rail.max_basis_points / 10_000)}"
    return f"at most {rail.max_increase_percent}% more than the control"


def _value(rail: GuardrailSpec, mine: Binary, control: Binary) -> str | None:
    if mine.rate is None:
        return None
    if rail.max is not None:
        return f"{wording.share(mine.rate)} above {rail.max} ms"
    if rail.max_increase_percent is not None and control.rate is not None:
        return f"{wording.share(mine.rate)}, control {wording.share(control.rate)}"
    return wording.share(mine.rate)


def _seen(snapshot: Snapshot, rail: GuardrailSpec, arm: str) -> _Seen:
    if rail.metric in MEASURED:
        return _requests(snapshot, rail, arm)
    return _users(snapshot.aggregates, snapshot, rail, arm)


def _requests(snapshot: Snapshot, rail: GuardrailSpec, arm: str) -> _Seen:
    keys = {each.name: each.key for each in snapshot.memory.arms}
    control = snapshot.memory.arms[0].key
    pairs = [
        (
            _counted(window.arms.get(keys[arm], Counts()), rail),
            _counted(window.arms.get(control, Counts()), rail),
        )
        for window in snapshot.windows
    ]
    return _Seen(
        mine=tuple(mine for mine, _ in pairs),
        control=tuple(theirs for _, theirs in pairs),
        exposures=tuple((float(mine.count), float(theirs.count)) for mine, theirs in pairs),
        until=max((window.end for window in snapshot.windows), default=None),
        block=_block(snapshot),
    )


def _block(snapshot: Snapshot) -> int | None:
    if not snapshot.windows:
        return None
    begin = snapshot.memory.started_at or snapshot.windows[0].begin
    return max(0, (snapshot.windows[-1].begin - begin) // BLOCK) + 1


def _counted(counts: Counts, rail: GuardrailSpec) -> Binary:
    """Return requests and the bad ones among them."""
    if rail.metric == "latencyP99Ms":
        if counts.latency is None or rail.max is None:
            return Binary()
        return counts.latency.above(float(rail.max)).surely
    bad = counts.errors if rail.metric == "error" else counts.client_errors
    # A request that was tried again counts as failed, and can be more than one failure.
    return Binary(counts.requests, min(bad, counts.requests))


def _users(
    aggregates: Aggregates | None, snapshot: Snapshot, rail: GuardrailSpec, arm: str
) -> _Seen:
    if aggregates is None:
        return _Seen()
    control = snapshot.memory.names[0]
    rows = list(_rows(aggregates, rail.metric, arm, control))
    return _Seen(
        mine=tuple(mine for mine, _, _ in rows),
        control=tuple(theirs for _, theirs, _ in rows),
        exposures=tuple(shares for _, _, shares in rows),
        until=aggregates.at,
    )


def _rows(
    aggregates: Aggregates, metric: str, arm: str, control: str
) -> Iterator[tuple[Binary, Binary, tuple[float, float]]]:
    for number in sorted(aggregates.epochs):
        counts, staying = aggregates.epochs[number], aggregates.staying.get(number, {})
        yield (
            _outcomes(counts.get(arm, ArmCounts()), metric),
            _outcomes(counts.get(control, ArmCounts()), metric),
            (float(staying.get(arm, 0)), float(staying.get(control, 0))),
        )


def _outcomes(counts: ArmCounts, metric: str) -> Binary:
    found = counts.metrics.get(metric)
    if isinstance(found, Binary):
        return found
    return Binary(counts.units, 0)


def missing(findings: Sequence[Finding]) -> list[str]:
    """Return the guardrails that nothing recent is known of, in words: they hold a verdict up."""
    silent = (Verdict.NO_EVIDENCE, Verdict.STALE)
    return [f"{each.metric} of {each.variant}" for each in findings if each.verdict in silent]
