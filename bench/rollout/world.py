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
HORIZON_S = 2 * 60 * 60
"""What a candidate loses is counted until so long after its readiness, whoever judges it."""
LATE_LOOK_S = 60
"""Between looks at a rollout that has passed a deadline: they are many, and change little."""
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
        minutes: How long that took from the candidate's readiness on.
        lost: Requests that the candidate failed, answered with NaN, or too late, as a canary: to
            the end of the rollout, or to the horizon where it was held so long.
        ended: What became of it by the horizon: the outcome, or what an undecided one came to
            after its deadline; empty where it was held to the horizon.
        lost_after: What a promoted one lost from then to the horizon, with all the traffic.
    """

    outcome: str
    minutes: float
    lost: int
    ended: str
    lost_after: int = 0

    @property
    def lost_in_all(self) -> int:
        """All that it lost to the horizon."""
        return self.lost + self.lost_after


def promoted_loses(case: Case, seconds: float, generator: np.random.Generator) -> int:
    """Return what a candidate loses that has all the traffic from here to the horizon."""
    requests = int(generator.poisson(case.rps * max(0.0, HORIZON_S - seconds)))
    return Tally(case.limit_ms).serve(case.candidate, requests, generator)


def play(case: Case, plan: Plan, seed: int, look_s: int = 10) -> Result:
    """Play one rollout to its end, or to the horizon where it is held so long."""
    generator = np.random.default_rng(seed)
    now, memory, live = BEGIN, None, Live()
    arms: tuple[Tally, Tally] | None = None
    since, lost, served = BEGIN, 0, (0, 0)
    changed_at: dt.datetime | None = None
    overdue: float | None = None
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
        seconds = (now - BEGIN).total_seconds()
        if move.stalled and memory.phase is Phase.STEP and overdue is None:
            overdue = seconds
        ended = ""
        if move.promote:
            ended = Outcome.PROMOTED.value
        elif memory.phase is Phase.ROLLED_BACK and memory.ending is not None:
            ended = memory.ending.outcome.value
        if ended or seconds >= HORIZON_S:
            return Result(
                outcome=ended if overdue is None else "",
                minutes=(seconds if overdue is None else overdue) / 60,
                lost=lost,
                ended=ended,
                lost_after=promoted_loses(case, seconds, generator) if move.promote else 0,
            )
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
        step_s = 1 if changed_at is not None else look_s if overdue is None else LATE_LOOK_S
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
