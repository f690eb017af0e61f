"""One rollout of the real, pure machine on synthetic traffic and a clock of its own."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np

from bench.rollout.synthetic import Arm, Tally
from fairlead_operator.rollout.machine import advance
from fairlead_operator.rollout.memory import Outcome, Phase
from fairlead_operator.rollout.plan import Plan
from fairlead_operator.rollout.view import Live, RolloutView, Side, Trial, Validation
from fairlead_operator.traffic.counts import Window

BEGIN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SETTLE_S = 75
"""From the flip of the address to a split that counts (`traffic.Timing`)."""
CONFIRM_S = 2
"""From a decision to its confirmation by every router."""
STABLE = Side(hash="a" * 16, key="m-aaaaaaaa", version="1", ready=True)
CANDIDATE = Side(hash="b" * 16, key="m-bbbbbbbb", version="2", ready=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One rollout to try.

    Attributes:
        stable: What the stable does.
        candidate: What the candidate does.
        limit_ms: The p99 limit.
        rps: Requests a second at the address.
    """

    stable: Arm
    candidate: Arm
    limit_ms: int
    rps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How it went.

    Attributes:
        outcome: `Promoted`, `GateFailed`, ... or empty where a step passed its deadline undecided.
        minutes: How long it took from the candidate's readiness on.
        lost: Requests that the candidate failed, answered with NaN, or too late.
    """

    outcome: str
    minutes: float
    lost: int


def play(case: Case, plan: Plan, seed: int, look_s: int = 10) -> Result:
    """Play one rollout to its end, or to the first deadline that passes without a decision."""
    generator = np.random.default_rng(seed)
    now, memory, live = BEGIN, None, Live()
    arms: tuple[Tally, Tally] | None = None
    since, lost, served = BEGIN, 0, (0, 0)
    changed_at: dt.datetime | None = None
    while True:
        view = RolloutView(
            plan=plan,
            memory=memory,
            stable=STABLE,
            candidate=CANDIDATE,
            live=live,
            evidence=_window(arms, since, now),
            validation=Validation(trial=Trial.PASSED, job="1"),
        )
        move = advance(view, now)
        memory = move.memory
        minutes = (now - BEGIN).total_seconds() / 60
        if move.promote:
            return Result(outcome=Outcome.PROMOTED.value, minutes=minutes, lost=lost)
        if memory.phase is Phase.ROLLED_BACK and memory.ending is not None:
            return Result(outcome=memory.ending.outcome.value, minutes=minutes, lost=lost)
        if move.stalled:
            return Result(outcome="", minutes=minutes, lost=lost)
        # The routers take what is wanted a moment later; the first time connections settle.
        if (move.slots, move.mirrored) != (live.slots, live.mirrored):
            changed_at = changed_at or now
            first = live.hash is None
            if (now - changed_at).total_seconds() >= (SETTLE_S if first else CONFIRM_S):
                live = Live(
                    hash=CANDIDATE.hash, slots=move.slots, mirrored=move.mirrored, since=now
                )
                served, changed_at = (10_000 - move.slots, move.slots), None
                arms, since = (Tally(case.limit_ms), Tally(case.limit_ms)), now
                continue
        step_s = look_s if changed_at is None else 1
        if arms is not None:
            control, candidate = (
                int(generator.poisson(case.rps * share / 10_000 * step_s)) for share in served
            )
            arms[0].serve(case.stable, control, generator)
            lost += arms[1].serve(case.candidate, candidate, generator)
        now += dt.timedelta(seconds=step_s)


def _window(
    arms: tuple[Tally, Tally] | None, since: dt.datetime, now: dt.datetime
) -> Window | None:
    if arms is None:
        return None
    return Window(
        begin=since,
        end=now,
        arms={STABLE.key: arms[0].counts(), CANDIDATE.key: arms[1].counts()},
    )
