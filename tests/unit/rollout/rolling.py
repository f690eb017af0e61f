"""A world for rollouts: an address, a Job and pods that do what is wanted, and counted requests."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace

from fairlead_operator.api.conditions import Note
from fairlead_operator.rollout.machine import advance
from fairlead_operator.rollout.memory import Memory, Outcome, Phase
from fairlead_operator.rollout.memoryjson import from_json, to_json
from fairlead_operator.rollout.plan import Plan, Step
from fairlead_operator.rollout.quality import Quality
from fairlead_operator.rollout.sizing import Measured
from fairlead_operator.rollout.view import (
    Job,
    Live,
    RolloutMove,
    RolloutView,
    Side,
    Trial,
    Validation,
)
from fairlead_operator.stats.histogram import Histogram
from fairlead_operator.traffic.counts import Counts, Window

NOW = dt.datetime(2026, 1, 1, 12, 0, 0, tzinfo=dt.UTC)
EDGES = (1.0, 5.0, 10.0, 20.0, 50.0, 55.0, 60.0, 80.0, 100.0)
STEPS = (Step(slots=500, hold_s=60), Step(slots=2500, hold_s=60), Step(slots=5000, hold_s=60))


def a_side(letter: str, *, ready: bool = True) -> Side:
    """Return a revision by the letter that its hash is made of."""
    return Side(hash=letter * 16, key=f"fraud-{letter * 8}", version=f"v{letter}", ready=ready)


def a_plan(**changes: object) -> Plan:
    """Return the default plan with holds of a minute and no limit in milliseconds."""
    return replace(Plan(steps=STEPS, deadline_s=600), **changes)  # type: ignore[arg-type]


def some(
    requests: int, *, errors: int = 0, slow: int = 0, non_finite: int = 0, **more: int
) -> Counts:
    """Return counts: most requests take 5 to 10 ms, the slow ones 80 to 100."""
    filled = [0] * (len(EDGES) + 1)
    filled[2], filled[8] = requests - slow, slow
    return Counts(
        requests=requests,
        errors=errors,
        predictions=requests - errors,
        non_finite=non_finite,
        latency=Histogram(EDGES, tuple(filled)),
        **more,
    )


@dataclass(slots=True)
class World:
    """Everything around a rollout; each attribute may be changed by a test at any time.

    Attributes:
        plan: What the spec asks for.
        stable: Who has the address.
        candidate: Who is to have it.
        trial: How the next validation ends.
        bad: What each second adds to the candidate's counts beyond good requests.
        rps: Requests a second of all.
        obedient: Whether the routers take what is wanted.
        counted: Whether evidence can be read.
        quality: How answers compare, where somebody measures it.
    """

    plan: Plan = field(default_factory=a_plan)
    stable: Side | None = field(default_factory=lambda: a_side("a"))
    candidate: Side | None = field(default_factory=lambda: a_side("b"))
    trial: Trial = Trial.PASSED
    measured: Measured = field(default_factory=lambda: Measured(throughput_rps=100))
    errors_per_s: int = 0
    rps: int = 400
    obedient: bool = True
    counted: bool = True
    quality: Quality | None = None
    unreachable: str = ""
    said: dict[str, str] = field(default_factory=dict)
    now: dt.datetime = NOW
    memory: Memory | None = None
    live: Live = field(default_factory=Live)
    job: str = ""
    jobs: int = 0
    since: dt.datetime | None = None
    counts: dict[str, Counts] = field(default_factory=dict)
    more: Counts = field(default_factory=Counts)
    tried: set[tuple[str, Trial]] = field(default_factory=set)
    spared: set[str] = field(default_factory=set)
    notes: list[Note] = field(default_factory=list)
    moves: list[RolloutMove] = field(default_factory=list)

    def view(self) -> RolloutView:
        """Return what a pass would see now."""
        window = None
        if self.since is not None and self.counted:
            window = Window(begin=self.since, end=self.now, arms=dict(self.counts))
        trial = self.trial if self.job else Trial.NONE
        return RolloutView(
            plan=self.plan,
            memory=self.memory,
            stable=self.stable,
            candidate=self.candidate,
            live=self.live,
            evidence=window,
            quality=None if window is None else self.quality,
            validation=Validation(
                trial=trial, job=self.job, measured=self.measured, message="as measured"
            ),
            imperatives=dict(self.said),
            unreachable=self.unreachable,
        )

    def decide(self) -> RolloutMove:
        """Run one pass and change nothing."""
        return advance(self.view(), self.now)

    def step(self, *, remembered: bool = True) -> RolloutMove:
        """Run one pass and carry it out; cut off before status is written unless `remembered`."""
        move = self.decide()
        if move.job is Job.RUN and not self.job:
            self.jobs += 1
            self.job = f"job-{self.jobs}"
        elif move.job is Job.REPLACE:
            self.job = ""
        self._route(move)
        if move.count_since is None:
            self.since = None
        elif self.since is None or self.since < move.count_since:
            self.since, self.counts = self.now, {}
        if remembered:
            # As status gives it back: nothing may be lost on the way.
            self.memory = from_json(to_json(move.memory), self.now)
            assert self.memory == move.memory
            if move.promote:
                self.stable, self.candidate, self.job = self.candidate, None, ""
                self.live = Live()
        self.notes += move.notes
        self.moves.append(move)
        return move

    def _route(self, move: RolloutMove) -> None:
        if not self.obedient:
            return
        if not move.split:
            self.live = Live()
        elif (move.revision, move.slots, move.mirrored) != (
            self.live.hash,
            self.live.slots,
            self.live.mirrored,
        ):
            self.live = Live(
                hash=move.revision, slots=move.slots, mirrored=move.mirrored, since=self.now
            )

    def wait(self, seconds: float) -> None:
        """Let time pass, with requests to both arms as the live split has it."""
        self.now += dt.timedelta(seconds=seconds)
        live = self.live
        if self.since is None or self.stable is None or live.hash is None:
            return
        share = live.slots or live.mirrored
        mine = int(self.rps * seconds * share / 10_000)
        theirs = int(self.rps * seconds * (10_000 - live.slots) / 10_000)
        errors = min(mine, int(self.errors_per_s * seconds))
        key = f"fraud-{live.hash[:8]}"
        self.counts[key] = self.counts.get(key, Counts()) + some(mine, errors=errors) + self.more
        self.more = Counts()
        stable = self.stable.key
        self.counts[stable] = self.counts.get(stable, Counts()) + some(theirs)

    def run(self, seconds: float, every: float = 5.0) -> RolloutMove:
        """Run passes for so long, and return the last move."""
        move = self.step()
        for _ in range(int(seconds / every)):
            self.wait(every)
            move = self.step()
        return move

    def until(self, *phases: Phase, seconds: float = 3600.0) -> RolloutMove:
        """Run passes until a phase is reached."""
        for _ in range(int(seconds / 5)):
            move = self.step()
            if move.memory.phase in phases:
                return move
            self.wait(5)
        raise AssertionError(f"{phases} not reached: {move.memory.phase} {move.message}")

    @property
    def outcomes(self) -> list[Outcome]:
        """Return how the rollouts so far ended."""
        return [each.outcome for each in self.memory.history] if self.memory else []
