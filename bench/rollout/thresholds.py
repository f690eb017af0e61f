"""The same traffic judged by fixed thresholds, as Flagger and Argo Rollouts are set up to do.

Both look at the success rate and the p99 of the last minute, at each interval, as their
documentation shows it. The p99 is interpolated in its bucket, as `histogram_quantile` does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.rollout.synthetic import Integers, Tally, edges
from bench.rollout.world import CONFIRM_S, SETTLE_S, Case, Result, promoted_loses

_MIN_SUCCESS = 0.99
_INTERVAL_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How one of them goes on.

    Attributes:
        name: Whose rules.
        weights: Percent, one after the other.
        holds: Intervals that each weight is held.
        failures: So many failed looks abort the rollout.
        empty_fails: Whether a look without any request counts as a failed one.
        waits: Whether a failed look also keeps the weight for another interval.
    """

    name: str
    weights: tuple[int, ...]
    holds: tuple[int, ...]
    failures: int
    empty_fails: bool
    waits: bool


FLAGGER = Rules(
    name="Flagger",
    weights=(10, 20, 30, 40, 50),
    holds=(1, 1, 1, 1, 1),
    failures=5,
    empty_fails=True,
    waits=True,
)
"""`interval: 1m, threshold: 5, stepWeight: 10, maxWeight: 50` and its two built-in metrics."""
ARGO = Rules(
    name="Argo Rollouts",
    weights=(5, 25, 50),
    holds=(2, 3, 5),
    failures=4,
    empty_fails=True,
    waits=False,
)
"""Our steps, with a background analysis: `interval: 1m, failureLimit: 3`."""


def play(case: Case, rules: Rules, seed: int) -> Result:
    """Play one rollout to its end."""
    generator = np.random.default_rng(seed)
    lost = failed = 0
    seconds = float(SETTLE_S)
    for weight, hold in zip(rules.weights, rules.holds, strict=True):
        seconds += CONFIRM_S
        left = hold
        while left:
            tally = Tally(case.limit_ms)
            share = case.rps * weight / 100
            requests = int(generator.poisson(share * _INTERVAL_S))
            lost += tally.serve(case.candidate, requests, generator)
            seconds += _INTERVAL_S
            bad = _bad(tally, case.limit_ms, rules)
            failed += bad
            if failed >= rules.failures:
                return Result(
                    outcome="GateFailed", minutes=seconds / 60, lost=lost, ended="GateFailed"
                )
            left -= not (bad and rules.waits)
    return Result(
        outcome="Promoted",
        minutes=seconds / 60,
        lost=lost,
        ended="Promoted",
        lost_after=promoted_loses(case, seconds, generator),
    )


def _bad(tally: Tally, limit_ms: int, rules: Rules) -> bool:
    if not tally.requests:
        return rules.empty_fails
    if 1 - tally.errors / tally.requests < _MIN_SUCCESS:
        return True
    return quantile(edges(limit_ms), tally.filled, 0.99) > limit_ms


def quantile(upper: tuple[float, ...], filled: Integers, share: float) -> float:
    """Return a quantile, interpolated in its bucket."""
    rank = share * int(filled.sum())
    below = 0
    for index, count in enumerate(filled):
        if below + count >= rank and count:
            if index == len(upper):
                return upper[-1]
            low = upper[index - 1] if index else 0.0
            return low + (upper[index] - low) * (rank - below) / int(count)
        below += int(count)
    return upper[-1]
