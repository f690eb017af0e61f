"""The rollouts that are tried: models, regressions of every kind and size, loads. Fixed seeds."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from bench.rollout.synthetic import Arm
from bench.rollout.world import Case

ERROR_LIMIT = 0.01
NON_FINITE_LIMIT = 0.005
INCREASE_LIMIT = 0.25
KINDS = ("errors", "p99", "increase", "nan")
"""What gets worse: failed requests, the share over the p99 limit, the p99 itself, NaN."""
SIZES = (0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 50.0)
"""How much worse, in limits: 2 is twice the limit."""


def good(rps: int, seed: int) -> Case:
    """Return a rollout of a candidate that is as good as its stable."""
    stable, limit_ms = _stable(seed)
    return Case(stable=stable, candidate=stable, limit_ms=limit_ms, rps=rps)


def bad(rps: int, seed: int, kind: str, size: float) -> Case | None:
    """Return a rollout of a candidate that is worse in one respect; None where it cannot be."""
    stable, limit_ms = _stable(seed)
    candidate = stable
    if kind == "errors":
        candidate = replace(stable, errors=min(1.0, size * ERROR_LIMIT))
    elif kind == "nan":
        candidate = replace(stable, non_finite=min(1.0, size * NON_FINITE_LIMIT))
    elif kind == "p99":
        share = size * 0.01
        if share >= 0.9:
            return None
        candidate = _slower(stable, limit_ms, share)
    else:
        candidate = replace(stable, median_ms=stable.median_ms * (1 + size * INCREASE_LIMIT))
    return Case(stable=stable, candidate=candidate, limit_ms=limit_ms, rps=rps)


def _stable(seed: int) -> tuple[Arm, int]:
    """Return a stable model that keeps its limits, and its p99 limit."""
    generator = np.random.default_rng([seed, 7])
    arm = Arm(
        errors=float(generator.choice([0.0, 0.0005, 0.002])),
        non_finite=float(generator.choice([0.0, 0.0005])),
        median_ms=float(generator.choice([10.0, 25.0, 80.0])),
        sigma=float(generator.choice([0.2, 0.4, 0.6])),
    )
    room = float(generator.choice([1.3, 2.0]))
    return arm, math.ceil(arm.p99_ms * room)


def _slower(arm: Arm, limit_ms: int, share: float) -> Arm:
    """Return the arm with just this share of its requests over the limit."""
    low, high = arm.median_ms / 100, float(limit_ms) * 100
    for _ in range(80):
        middle = math.sqrt(low * high)
        if replace(arm, median_ms=middle).above(limit_ms) < share:
            low = middle
        else:
            high = middle
    return replace(arm, median_ms=low)
