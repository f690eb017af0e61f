"""A simulated address: routers that take what is written, pods that start when asked for."""

from __future__ import annotations

import dataclasses
import datetime as dt

from fairlead_operator.traffic import address, documents, slots
from fairlead_operator.traffic.documents import Configuration, Versions
from fairlead_operator.traffic.split import Arm, Settings, Split
from fairlead_operator.traffic.states import (
    ROUTER,
    Memory,
    Move,
    Router,
    State,
    Timing,
    View,
    Want,
)

NOW = dt.datetime(2026, 1, 1, 12, 0, tzinfo=dt.UTC)
SETTINGS = Settings(name="fraud")
TIMING = Timing()


def an_arm(name: str) -> Arm:
    """Return an arm."""
    return Arm(name=name, key=f"fraud-{name}", host=f"fraud-{name}.team.svc")


STABLE, CANDIDATE, OTHER = an_arm("stable"), an_arm("candidate"), an_arm("other")


def a_split(share: int, *, candidate: Arm = CANDIDATE, salt: str = "s") -> Split:
    """Return a split between the stable and a candidate."""
    wanted = {STABLE.name: 10_000 - share, candidate.name: share}
    table = slots.change(slots.all_to(STABLE.name), wanted).table
    return Split(arms=(STABLE, candidate), table=table, header="x-user-id", salt=salt)


class World:
    """What exists, and a clock."""

    def __init__(self, want: Want) -> None:
        self.now = NOW
        self.memory = Memory(since=NOW)
        self.selected: str | None = STABLE.key
        self.want = want
        self.written: Configuration | None = None
        self.live: dict[str, Versions | None] = {}
        self.ready_routers: dict[str, bool] = {}
        self.connections = 0
        self.going: dict[str, int] = {}
        """Connections of routers that are being deleted, with what they took before."""
        self.replicas = {STABLE.key: 4, CANDIDATE.key: 1, OTHER.key: 1}
        self.ready = dict(self.replicas)
        self.sized: dict[str, int] = {}
        self.moves: list[Move] = []

    @property
    def view(self) -> View:
        """What a pass sees."""
        routers = tuple(
            Router(
                name=name,
                ready=self.ready_routers[name],
                versions=versions,
                connections=self.connections,
            )
            for name, versions in self.live.items()
        )
        routers += tuple(
            Router(name=name, ready=False, going=True, versions=Versions(), connections=count)
            for name, count in self.going.items()
        )
        return View(
            memory=self.memory,
            selected=self.selected,
            want=self.want,
            routers=routers,
            routers_wanted=2,
            replicas=dict(self.replicas),
            ready=dict(self.ready),
            sized=dict(self.sized),
        )

    def decide(self) -> Move:
        """Return the decision on what is."""
        return address.decide(self.view, SETTINGS, TIMING, self.now)

    def act(self, *, until: int = 3) -> Move:
        """Decide and carry out the first steps: floors, configuration, selector, memory."""
        move = self.decide()
        self.moves.append(move)
        for key, floor in move.floors.items():
            self.replicas[key] = max(self.replicas.get(key, 0), floor)
        if until >= 1:
            self.written = move.configuration
            if move.configuration is None:
                self.live, self.ready_routers = {}, {}
            elif not self.live:
                self.live = dict.fromkeys(("r1", "r2"))
                self.ready_routers = dict.fromkeys(("r1", "r2"), False)
        if until >= 2:
            self.selected = move.select
        if until >= 3:
            self.memory = move.memory
        return move

    def cooperate(self) -> None:
        """Let everything else do what it does in the end."""
        for name in self.live:
            self.ready_routers[name] = True
            if self.written is not None:
                self.live[name] = documents.versions(self.written, SETTINGS)
        self.ready = dict(self.replicas)
        self.connections = 2 if self.selected == ROUTER else 0

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += dt.timedelta(seconds=seconds)

    def rest(self, *, limit: int = 200) -> Move:
        """Go on, with everybody's help, until nothing wants to be looked at again."""
        for _ in range(limit):
            move = self.act()
            if move.wake_s is None and self.decide() == move:
                return move
            self.cooperate()
            self.wait(move.wake_s or 0.0)
        raise AssertionError(f"no rest: {self.moves[-3:]}")

    def until(self, state: State, *, limit: int = 200) -> Move:
        """Go on, with everybody's help, until the address is in a state."""
        for _ in range(limit):
            move = self.act()
            if self.memory.state is state:
                return move
            self.cooperate()
            self.wait(move.wake_s or 0.0)
        raise AssertionError(f"never {state}: {self.moves[-1]}")


def a_want(share: int | None = None, **changes: object) -> Want:
    """Return what is wanted: a share for the candidate, or no split."""
    base = Want(stable=STABLE, split=None if share is None else a_split(share))
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]  # names of its fields
