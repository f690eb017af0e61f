"""The gates: pure functions from counts to verdicts, with the statistics of `stats.eprocess`.

Every test may be looked at after each request, so a pass can judge whenever it likes. Alpha is
shared over the gates that test something; steps cost nothing, because each gate is one test over
the whole rollout. FAIL needs no minimum count. The last step also needs an acquittal: the upper
confidence bound under the limit. Acquittals are not shared out, because all of them are needed.

No quantile is estimated. "p99 at most L" says that at most 1 % take longer than L.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

from fairlead_operator.rollout.judging import DRIFT, PODS, ROUTER, Case, acquitted, tested
from fairlead_operator.rollout.latency import latency_increase, latency_p99
from fairlead_operator.rollout.ledger import Ledger
from fairlead_operator.rollout.plan import Limits
from fairlead_operator.rollout.quality import Score
from fairlead_operator.rollout.verdict import Check, Gate, Verdict
from fairlead_operator.stats.aggregates import Binary
from fairlead_operator.stats.eprocess import Events, against_control
from fairlead_runtime.contract.assignment import SLOTS

CLIENT_ERROR_FLOOR = 0.01
"""A share below it is nobody's concern, however few client errors the stable has."""
SCORES_STALE_AFTER_S = 300.0
"""Comparisons of distributions that are older pass nothing: whole minutes, read once a minute."""


def judge(
    ledger: Ledger,
    limits: Limits,
    now: dt.datetime,
    *,
    last: bool = False,
) -> tuple[Check, ...]:
    """Return every check, in a fixed order.

    Args:
        ledger: All evidence of the rollout.
        limits: What is allowed.
        now: The instant of the pass.
        last: Whether it is the last step, which asks for acquittals.
    """
    active = [gate for gate in _TESTED if _limit(gate, limits) is not None]
    tested = [gate for gate in active if gate not in limits.ignore]
    case = Case(
        ledger=ledger,
        sides=ledger.all,
        limits=limits,
        quality=ledger.quality,
        alpha=limits.alpha / max(1, len(tested)),
        last=last,
        needed=limits.min_requests,
    )
    return tuple(_decided(make(case), case, now) for make in _CHECKS)


def _decided(check: Check, case: Case, now: dt.datetime) -> Check:
    """Return the check with what holds for all: nothing passes on old or too little evidence."""
    limits, ledger = case.limits, case.ledger
    if check.limit is None or check.gate in limits.ignore:
        return replace(check, verdict=None)
    if check.verdict is Verdict.FAIL:
        return check
    if ledger.end is None:
        return replace(check, verdict=Verdict.NO_EVIDENCE, message="nothing has been counted yet")
    age = (now - ledger.end).total_seconds()
    unread = ""
    if ledger.unread:
        unread = f"not counted since they could not be read: {', '.join(ledger.unread)}"
    if age > ledger.stale_after_s:
        why = [each for each in (ledger.trouble, unread) if each]
        text = ": ".join([f"the last counts are {age:.0f} s old", *why[:1]])
        return replace(check, verdict=Verdict.STALE, message=text)
    if unread:
        return replace(check, verdict=Verdict.STALE, message=unread)
    if check.source == DRIFT and check.verdict is Verdict.PASS and check.end is not None:
        age = (now - check.end).total_seconds()
        if age > SCORES_STALE_AFTER_S:
            text = f"the last comparison is {age:.0f} s old"
            return replace(check, verdict=Verdict.STALE, message=text)
    if ledger.step_requests == 0:
        text = "the candidate has had no request in this step"
        return replace(check, verdict=Verdict.NO_EVIDENCE, message=text)
    if check.verdict is Verdict.PASS and ledger.step_requests < case.needed:
        text = f"{ledger.step_requests} of {case.needed} requests in this step; {check.message}"
        return replace(check, verdict=Verdict.INCONCLUSIVE, message=text)
    return check


def _errors(case: Case) -> Check:
    counts = case.sides.candidate
    counted = Binary(counts.requests, counts.errors)
    return _rate(case, Gate.ERRORS, counted, counted, case.limits.errors, "failed requests")


def _non_finite(case: Case) -> Check:
    counts = case.sides.candidate
    counted = Binary(counts.predictions, counts.non_finite)
    what = "predictions with NaN or infinity"
    check = _rate(case, Gate.NON_FINITE, counted, counted, case.limits.non_finite, what)
    return replace(check, source=PODS)


def _client_errors(case: Case) -> Check:
    allowed = case.limits.client_error_increase
    mine, theirs = case.sides.candidate, case.sides.control
    share = mine.client_errors / mine.requests if mine.requests else None
    other = theirs.client_errors / theirs.requests if theirs.requests else None
    value = None if share is None or not other else 100 * (share / other - 1)
    text = (
        f"{mine.client_errors} of {mine.requests} requests, the stable has "
        f"{theirs.client_errors} of {theirs.requests}"
    )
    verdict = Verdict.PASS
    if allowed is not None:
        events = case.ledger.events
        if against_control(events, allowed_increase=allowed, alpha=case.alpha).breached:
            verdict = Verdict.FAIL
        elif case.last and not _fewer(events, allowed, case.limits.alpha):
            counted = Binary(mine.requests, mine.client_errors)
            if not acquitted(counted, CLIENT_ERROR_FLOOR, case.limits.alpha):
                verdict = Verdict.INCONCLUSIVE
    return Check(
        gate=Gate.CLIENT_ERRORS,
        verdict=verdict,
        value=value,
        limit=None if allowed is None else 100 * allowed,
        unit="%",
        samples=mine.requests,
        end=case.ledger.end,
        source=ROUTER,
        message=text,
    )


def _restarts(case: Case) -> Check:
    mine, theirs = case.sides.candidate.restarts, case.sides.control.restarts
    return _excess(case, Gate.RESTARTS, mine, theirs, case.limits.restarts, "restarts")


def _out_of_memory(case: Case) -> Check:
    mine, theirs = case.sides.candidate.oom_kills, case.sides.control.oom_kills
    limit = case.limits.out_of_memory
    return _excess(case, Gate.OUT_OF_MEMORY, mine, theirs, limit, "containers out of memory")


def _mirror_difference(case: Case) -> Check:
    found, limit = case.quality.mirror, case.limits.mirror_difference
    counted = Binary(found.pairs, found.differing) if found else Binary(0, 0)
    check = _rate(case, Gate.MIRROR_DIFFERENCE, counted, counted, limit, "differing answers")
    if case.ledger.control_share + case.ledger.candidate_share <= SLOTS:
        # Beyond the shadow nothing is compared any more: what was passed there stays passed.
        verdict = Verdict.FAIL if check.verdict is Verdict.FAIL else Verdict.PASS
        check = replace(check, verdict=verdict)
    return replace(check, source=PODS, end=found.end if found else None)


def _prediction_shift(case: Case) -> Check:
    found, limit = case.quality.predictions, case.limits.prediction_shift
    return _score(case, Gate.PREDICTION_SHIFT, found, limit, "predictions")


def _drift(case: Case) -> Check:
    return _score(case, Gate.DRIFT, case.quality.inputs, case.limits.drift, "inputs")


_CHECKS: tuple[Callable[[Case], Check], ...] = (
    _errors,
    latency_p99,
    latency_increase,
    _client_errors,
    _restarts,
    _out_of_memory,
    _non_finite,
    _mirror_difference,
    _prediction_shift,
    _drift,
)
_TESTED = (
    Gate.ERRORS,
    Gate.LATENCY_P99,
    Gate.LATENCY_INCREASE,
    Gate.CLIENT_ERRORS,
    Gate.NON_FINITE,
    Gate.MIRROR_DIFFERENCE,
)
"""Gates that can be wrong by chance, over which alpha is shared."""


def _limit(gate: Gate, limits: Limits) -> float | None:
    return {
        Gate.ERRORS: limits.errors,
        Gate.LATENCY_P99: limits.latency_p99_ms,
        Gate.LATENCY_INCREASE: limits.latency_increase,
        Gate.CLIENT_ERRORS: limits.client_error_increase,
        Gate.NON_FINITE: limits.non_finite,
        Gate.MIRROR_DIFFERENCE: limits.mirror_difference,
    }.get(gate)


def _fewer(events: list[Events], allowed: float, alpha: float) -> bool:
    """Whether the upper bound of the ratio is under the allowance: both arms change places."""
    swapped = [
        Events(
            control=row.treatment,
            treatment=row.control,
            control_share=row.treatment_share,
            treatment_share=row.control_share,
        )
        for row in events
    ]
    return against_control(swapped, allowed_increase=1 / (1 + allowed) - 1, alpha=alpha).breached


def _rate(
    case: Case, gate: Gate, surely: Binary, possibly: Binary, limit: float | None, what: str
) -> Check:
    verdict = Verdict.PASS if limit is None else tested(case, surely, possibly, limit)
    if not surely.count:
        verdict = Verdict.NO_EVIDENCE
    return Check(
        gate=gate,
        verdict=verdict,
        value=100 * surely.successes / surely.count if surely.count else None,
        limit=None if limit is None else 100 * limit,
        unit="%",
        samples=surely.count,
        end=case.ledger.end,
        source=ROUTER,
        message=f"{surely.successes} of {surely.count}: {what}",
    )


def _excess(case: Case, gate: Gate, mine: int, theirs: int, limit: int | None, what: str) -> Check:
    """Judge a count beyond the stable's: what both share is the node's doing, not the model's."""
    beyond = max(0, mine - theirs)
    failed = limit is not None and beyond > limit
    return Check(
        gate=gate,
        verdict=Verdict.FAIL if failed else Verdict.PASS,
        value=float(beyond),
        limit=None if limit is None else float(limit),
        unit="",
        samples=mine,
        end=case.ledger.end,
        source=PODS,
        message=f"{mine} {what}, the stable has {theirs}",
    )


def _score(case: Case, gate: Gate, found: Score | None, limit: int | None, what: str) -> Check:
    verdict = Verdict.NO_EVIDENCE
    text = f"the {what} of both versions were not compared"
    if found is not None:
        over = limit is not None and found.milli > limit
        verdict = Verdict.FAIL if over and found.significant else Verdict.PASS
        if verdict is Verdict.PASS and (over or found.samples < case.needed):
            verdict = Verdict.INCONCLUSIVE
        which = f"{found.feature[:64]} has" if found.feature else f"{what}:"
        text = f"{which} PSI {found.milli / 1000:.3f} against the stable's of the same minutes"
    return Check(
        gate=gate,
        verdict=verdict,
        value=None if found is None else found.milli / 1000,
        limit=None if limit is None else limit / 1000,
        unit="",
        samples=0 if found is None else found.samples,
        end=None if found is None else found.end,
        source=DRIFT,
        message=text,
    )
