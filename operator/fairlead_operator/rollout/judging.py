"""What a judgement rests on, and the two tests that every gate on a share is made of."""

from __future__ import annotations

from dataclasses import dataclass

from fairlead_operator.rollout.ledger import Ledger, Sides
from fairlead_operator.rollout.plan import Limits
from fairlead_operator.rollout.quality import Quality
from fairlead_operator.rollout.verdict import Verdict
from fairlead_operator.stats.aggregates import Binary
from fairlead_operator.stats.eprocess import against_limit

ROUTER = "router"
"""The routers' counts of what they got from the pods."""
PODS = "pods"
"""What the pods say of themselves."""
DRIFT = "drift"
"""What the pods have counted in the bins of their profiles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What one judgement rests on.

    Attributes:
        ledger: All evidence of the rollout.
        sides: Its sums.
        limits: What is allowed.
        quality: Comparisons of answers.
        alpha: This gate's part of the probability of a false alarm.
        last: Whether an acquittal is needed.
        needed: Requests that the step needs.
    """

    ledger: Ledger
    sides: Sides
    limits: Limits
    quality: Quality
    alpha: float
    last: bool
    needed: int


def acquitted(counted: Binary, limit: float, alpha: float) -> bool:
    """Return whether the upper confidence bound is under the limit, by the test of its opposite."""
    rest = Binary(counted.count, counted.count - counted.successes)
    return against_limit(rest, 1 - limit, alpha).breached


def tested(case: Case, surely: Binary, possibly: Binary, limit: float) -> Verdict:
    """Return what the counts say of a share: FAIL by what is sure, an acquittal by what may be."""
    if against_limit(surely, limit, case.alpha).breached:
        return Verdict.FAIL
    if case.last and not acquitted(possibly, limit, case.limits.alpha):
        return Verdict.INCONCLUSIVE
    return Verdict.PASS
