"""What a judgement rests on, and the two tests that every gate on a share is made of."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from fairlead_operator.rollout.ledger import Ledger, Sides
from fairlead_operator.rollout.plan import Limits
from fairlead_operator.rollout.verdict import Verdict
from fairlead_operator.stats.aggregates import Binary
from fairlead_operator.stats.eprocess import against_limit

ROUTER = "router"
"""The routers' counts of what they got from the pods."""
PODS = "pods"
"""What the pods say of themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A comparison of the candidate's distribution with the stable's of the same minutes.

    Attributes:
        milli: Population stability index in thousandths.
        samples: Rows of the candidate.
        significant: Whether it is more than chance.
        end: The end of the window.
    """

    milli: int
    samples: int
    significant: bool
    end: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Answers to copies of the same requests.

    Attributes:
        pairs: Pairs since the mirror began.
        differing: Those whose labels or numbers differ.
        end: The end of the window.
    """

    pairs: int
    differing: int
    end: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What is known of the model's answers beyond counts; None where nobody measures it."""

    mirror: Compared | None = None
    predictions: Score | None = None
    inputs: Score | None = None


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
