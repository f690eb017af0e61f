"""The two gates on latency. No quantile is estimated: a p99 limit is a limit on a share."""

from __future__ import annotations

import math
from collections.abc import Callable

from fairlead_operator.rollout.judging import ROUTER, Case, acquitted, tested
from fairlead_operator.rollout.verdict import Check, Gate, Verdict, shown
from fairlead_operator.stats.aggregates import Binary
from fairlead_operator.stats.eprocess import against_limit
from fairlead_operator.stats.histogram import Histogram

P99 = 0.01
"""Share of the requests that may be above a p99 limit."""
LATENCY_FLOOR_MS = 5.0
"""A p99 that is longer by less is within any limit: routers measure whole milliseconds."""


def latency_p99(case: Case) -> Check:
    """Judge the candidate's p99 against a limit in milliseconds."""
    limit = case.limits.latency_p99_ms
    histogram = case.sides.candidate.latency
    if histogram is None or limit is None:
        return _latency(case, Gate.LATENCY_P99, histogram, limit, Verdict.NO_EVIDENCE, "")
    above = histogram.above(float(limit))
    share = 100 * above.surely.successes / max(1, above.surely.count)
    verdict = tested(case, above.surely, above.possibly, P99)
    text = f"{shown(share, '%')} of the requests took longer than {limit} ms, 1% may"
    return _latency(case, Gate.LATENCY_P99, histogram, limit, verdict, text)


def latency_increase(case: Case) -> Check:
    """Judge the candidate's p99 against the stable's, which is itself only known from counts.

    Condemned beyond what the stable's p99 surely is at most, acquitted below what it surely is at
    least: each of the two spends half of its alpha on the stable's.
    """
    increase = case.limits.latency_increase
    control, candidate = case.sides.control.latency, case.sides.candidate.latency
    if control is None or candidate is None or increase is None or not control.count:
        text = "the stable's latency is not known yet"
        limit = None if increase is None else 100 * increase
        return _increase(case, None, limit, Verdict.INCONCLUSIVE, text)
    mine, theirs = candidate.quantile_bounds(1 - P99), control.quantile_bounds(1 - P99)
    value = None
    if mine is not None and theirs is not None and theirs.high > 0 and mine.high < math.inf:
        value = 100 * (mine.high / theirs.high - 1)
    at_most, at_least = _quantile_limits(control, case)
    verdict = Verdict.PASS
    text = "the stable's p99 is not known well enough yet"
    if case.last:
        verdict = Verdict.INCONCLUSIVE
    if at_most is not None:
        edge = _allowed(at_most, increase)
        # Half of this gate's alpha went into what the stable's p99 is at most.
        found = against_limit(candidate.above(edge).surely, P99, case.alpha / 2)
        text = f"the stable's p99 is at most {shown(at_most, 'ms')}"
        if found.breached:
            verdict = Verdict.FAIL
            text += f", and more than 1% of the candidate's take longer than {shown(edge, 'ms')}"
    if verdict is not Verdict.FAIL and case.last:
        edge = _allowed(at_least, increase)
        if acquitted(candidate.above(edge).possibly, P99, case.limits.alpha / 2):
            verdict = Verdict.PASS
            text = f"less than 1% took longer than {shown(edge, 'ms')}"
    return _increase(case, value, 100 * increase, verdict, text)


def _allowed(p99_ms: float, increase: float) -> float:
    return max(p99_ms * (1 + increase), p99_ms + LATENCY_FLOOR_MS)


def _quantile_limits(control: Histogram, case: Case) -> tuple[float | None, float]:
    """Return edges that the control's p99 is at most, and at least, surely.

    Shares above an edge fall with the edge, so one wrong answer would be wrong at the edge next to
    the true p99 as well: a search over edges costs no more certainty than one test.
    """
    edges = control.edges
    total = control.count
    above: list[int] = []
    left = total
    for count in control.counts[:-1]:
        left -= count
        above.append(left)

    def at_most(index: int) -> bool:
        return acquitted(Binary(total, above[index]), P99, case.alpha / 2)

    def not_at_least(index: int) -> bool:
        return not against_limit(Binary(total, above[index]), P99, case.limits.alpha / 2).breached

    high = _first(at_most, len(edges))
    low = _first(not_at_least, len(edges)) - 1
    return (
        edges[high] if high < len(edges) else None,
        edges[low] if low >= 0 else 0.0,
    )


def _first(holds: Callable[[int], bool], count: int) -> int:
    """Return the first index from which on a condition holds; `count` where it never does."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _latency(
    case: Case,
    gate: Gate,
    histogram: Histogram | None,
    limit: int | None,
    verdict: Verdict,
    text: str,
) -> Check:
    bounds = histogram.quantile_bounds(1 - P99) if histogram else None
    known = bounds is not None and bounds.high < math.inf
    return Check(
        gate=gate,
        verdict=verdict,
        value=bounds.high if bounds is not None and known else None,
        limit=limit,
        unit="ms",
        samples=histogram.count if histogram else 0,
        end=case.ledger.end,
        source=ROUTER,
        message=text or "the latency was not measured",
    )


def _increase(
    case: Case, value: float | None, limit: float | None, verdict: Verdict, text: str
) -> Check:
    latency = case.sides.candidate.latency
    return Check(
        gate=Gate.LATENCY_INCREASE,
        verdict=verdict,
        value=value,
        limit=limit,
        unit="%",
        samples=latency.count if latency else 0,
        end=case.ledger.end,
        source=ROUTER,
        message=text,
    )
