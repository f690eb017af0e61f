"""The states of an address: one step of a table over a view and `now`.

    Direct -> Starting -> Settling -> Split -> Draining -> Direct

What the Service selects is observed and goes before what is remembered, so that a pass that was
interrupted between writing the one and the other is taken up where it was. Each step may be
repeated, and each state leads back when what is wanted changes.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable

from fairlead_operator.traffic import changes, documents, slots, weights
from fairlead_operator.traffic.documents import Configuration
from fairlead_operator.traffic.split import Settings, Split, only
from fairlead_operator.traffic.states import (
    ROUTER,
    Hold,
    Memory,
    Move,
    Router,
    State,
    Timing,
    View,
)

_SOON_S = 0.5
_LATER_S = 5.0


def decide(view: View, settings: Settings, timing: Timing, now: dt.datetime) -> Move:
    """Return the next step; the same view and the same `now` give the same answer."""
    return _Pass(view, settings, timing, now).step()


class _Pass:
    """One decision; nothing in it changes."""

    def __init__(self, view: View, settings: Settings, timing: Timing, now: dt.datetime) -> None:
        self.view = view
        self.want = view.want
        self.settings = settings
        self.timing = timing
        self.now = now
        self.routers = tuple(router for router in view.routers if not router.going)
        self.memory = _counted(_observed(view, now), view)

    def step(self) -> Move:
        match self.memory.state:
            case State.DIRECT:
                return self._starting() if self.want.router else self._direct()
            case State.STARTING:
                return self._starting() if self.want.router else self._direct()
            case State.SETTLING | State.SPLIT if not self._serving():
                return self._gone()
            case State.SETTLING:
                return self._settling()
            case State.SPLIT:
                return self._split()
            case State.DRAINING:
                return self._starting() if self.want.router else self._draining()

    # States.

    def _direct(self) -> Move:
        memory = Memory(state=State.DIRECT, since=self._since(State.DIRECT))
        return Move(
            memory=memory,
            select=self.want.stable.key,
            configuration=None,
            floors={},
            live=True,
        )

    def _starting(self) -> Move:
        memory = self._with(State.STARTING, self._base())
        waiting = [r.name for r in self.routers if not (r.ready and self._took(r, memory))]
        ready = len(self.routers) - len(waiting)
        if waiting or ready < max(1, self.view.routers_wanted):
            text = f"{ready} of {self.view.routers_wanted} routers are ready for the address"
            wake = self._patience(memory)
            return self._move(memory, self.want.stable.key, Hold.ROUTER_NOT_READY, text, wake)
        flipped = dataclasses.replace(memory, state=State.SETTLING, since=self.now)
        return self._settle(flipped)

    def _gone(self) -> Move:
        """Without a ready router nobody would answer: the control's pods do until one is back."""
        memory = self._with(State.STARTING, self._base())
        text = "no router is ready: the control has the address until one is"
        wake = self._patience(memory)
        return self._move(memory, self.want.stable.key, Hold.ROUTER_GONE, text, wake)

    def _settling(self) -> Move:
        if not self.want.router:
            return self._split()  # nobody waits for the end of what is not to begin
        base = self._base()
        memory, written = self.memory, self.memory.configuration
        if written is None or not changes.same_users(written.split, base.split):
            memory = dataclasses.replace(memory, since=self.now)
        return self._settle(self._with(State.SETTLING, base, memory))

    def _settle(self, memory: Memory) -> Move:
        until = memory.since + dt.timedelta(seconds=self.timing.settle_s)
        left = (until - self.now).total_seconds()
        if left > 0:
            text = "connections from before the flip may still be open"
            return self._move(memory, ROUTER, Hold.SETTLING, text, left)
        if not self._confirmed(memory):
            return self._unconfirmed(memory)
        return self._split(dataclasses.replace(memory, state=State.SPLIT, since=self.now))

    def _split(self, memory: Memory | None = None) -> Move:
        memory = self._confirming(memory or self._with(State.SPLIT, None))
        written = memory.configuration
        if written is None:
            return self._write(memory, self._base())
        goal = self._goal(written.split)
        if self.want.router and not changes.same_users(written.split, goal):
            return self._other_users(memory, written)
        if not self._confirmed(memory):
            # What makes it right again is not held up by what did not arrive.
            if self._only_back_to_control(written.split, goal):
                return self._write(memory, dataclasses.replace(written, split=goal))
            return self._unconfirmed(memory, goal)
        if written.split == goal:
            return self._arrived(memory, written, goal)
        missing = self._missing(memory, written.split, goal)
        if missing:
            return self._move(memory, ROUTER, Hold.CAPACITY_MISSING, missing, _LATER_S, goal)
        wider = changes.wider(written, goal)
        if wider != written:
            return self._write(memory, wider, goal)
        return self._write(memory, dataclasses.replace(written, split=goal), goal)

    def _arrived(self, memory: Memory, written: Configuration, goal: Split) -> Move:
        if not self.want.router:
            return self._draining(dataclasses.replace(memory, state=State.DRAINING, since=self.now))
        exact = documents.of(goal)
        if written == exact:
            return self._move(memory, ROUTER, None, "", None, goal, live=True)
        # Requests that began before the change may still need the clusters.
        since = memory.confirmed_at or self.now
        until = since + dt.timedelta(seconds=self.timing.forget_s)
        left = (until - self.now).total_seconds()
        if left > 0:
            return self._move(memory, ROUTER, None, "", left, goal, live=True)
        # The split is the same: its clock goes on.
        trimmed = dataclasses.replace(memory, configuration=exact, written_at=self.now)
        return self._move(trimmed, ROUTER, None, "", _SOON_S, goal, live=True)

    def _other_users(self, memory: Memory, written: Configuration) -> Move:
        """Change header or salt: everything to the control first, then as after a flip."""
        control = written.split.control
        calm = dataclasses.replace(written.split, table=slots.all_to(control.name), mirror=None)
        if written.split.table != calm.table:
            return self._write(memory, dataclasses.replace(written, split=calm))
        if not self._confirmed(memory):
            return self._unconfirmed(memory)
        again = dataclasses.replace(memory, state=State.SETTLING, since=self.now)
        return self._write(again, self._base())

    def _draining(self, memory: Memory | None = None) -> Move:
        memory = memory or self.memory
        age = (self.now - memory.since).total_seconds()
        longest = 2 * self.timing.connection_age_s
        idle = all(router.connections == 0 for router in self.routers)
        if age >= longest or (idle and age >= self.timing.least_drain_s):
            return self._direct()
        text = "the router ends the connections that it has"
        wait = min(_LATER_S, longest - age)
        return self._move(memory, self.want.stable.key, Hold.DRAINING, text, wait)

    # What is wanted of the routers.

    def _base(self) -> Configuration:
        """Return everything to the control, with clusters and users as the split will have them."""
        split = self.want.split
        if split is None:
            return documents.of(only(self.want.stable))
        calm = dataclasses.replace(split, table=slots.all_to(split.control.name), mirror=None)
        mirrored = documents.of(split).mirrored
        return Configuration(split=calm, arms=split.arms, mirrored=mirrored)

    def _goal(self, written: Split) -> Split:
        if self.want.split is not None:
            return self.want.split
        stable = next((arm for arm in written.arms if arm.key == self.want.stable.key), None)
        if self.want.router or stable is None:
            return only(self.want.stable)
        # On the way back nothing changes but the shares: no cluster has to warm up for it.
        return dataclasses.replace(written, table=slots.all_to(stable.name), mirror=None)

    def _missing(self, memory: Memory, written: Split, goal: Split) -> str:
        """Return which arms have too few ready replicas to grow; the control is never held up."""
        before = {arm.key: written.counts[arm.name] for arm in written.arms}
        left = sum(share for arm, share, _ in changes.shares(goal) if arm == written.control)
        # Whoever is ready is better than a control that has nobody left to answer.
        gone = not left and not self.view.ready.get(written.control.key, 0)
        short = []
        for arm, share, mirrored in changes.shares(goal):
            grows = share > before.get(arm.key, 0) or (mirrored and goal.mirror != written.mirror)
            need = 1 if gone else self._needed(memory, arm.key, share, mirrored)
            has = self.view.ready.get(arm.key, 0)
            if grows and arm.key != written.control.key and has < need:
                short.append(f"{arm.key} has {has} of {need} ready replicas")
        return "; ".join(short)

    def _needed(self, memory: Memory, key: str, share: int, mirrored: int) -> int:
        return weights.replicas_needed(
            least=self.want.least,
            whole=max(memory.at_start, self.view.sized.get(key, 0)),
            slots=share,
            mirrored=mirrored,
        )

    def _floors(self, memory: Memory, goals: Iterable[Split]) -> dict[str, int]:
        """Return the replicas that each arm needs for what is and for what is to come."""
        floors = {self.want.stable.key: memory.at_start}
        for split in goals:
            for arm, share, mirrored in changes.shares(split):
                need = self._needed(memory, arm.key, share, mirrored)
                if arm.key == split.control.key:
                    need = max(need, memory.at_start)  # a rollback lands on enough
                floors[arm.key] = max(floors.get(arm.key, 0), need)
        return floors

    # What the routers have.

    def _serving(self) -> bool:
        return any(router.ready for router in self.routers)

    def _took(self, router: Router, memory: Memory) -> bool:
        return memory.configuration is not None and router.versions == documents.versions(
            memory.configuration, self.settings
        )

    def _lagging(self, memory: Memory) -> list[str]:
        """Return the routers with traffic that have not taken what was written."""
        return [
            router.name
            for router in self.view.routers
            if ((router.ready and not router.going) or router.connections)
            and not self._took(router, memory)
        ]

    def _confirmed(self, memory: Memory) -> bool:
        return self._serving() and not self._lagging(memory)

    def _confirming(self, memory: Memory) -> Memory:
        if memory.confirmed_at is None and self._confirmed(memory):
            return dataclasses.replace(memory, confirmed_at=self.now)
        return memory

    def _only_back_to_control(self, written: Split, goal: Split) -> bool:
        """Whether it is a rollback: the same control and users, and nobody else grows."""
        if goal.mirror is not None or written == goal or written.control != goal.control:
            return False
        before = {arm.key: written.counts[arm.name] for arm in written.arms}
        return changes.same_users(written, goal) and all(
            goal.counts[arm.name] <= before.get(arm.key, 0) for arm in goal.arms[1:]
        )

    # Moves.

    def _patience(self, memory: Memory) -> float:
        """Return when to look again at what does not come: the later, the longer it has not."""
        age = (self.now - memory.since).total_seconds()
        return min(_LATER_S, max(_SOON_S, age / 10))

    def _unconfirmed(self, memory: Memory, goal: Split | None = None) -> Move:
        since = memory.written_at or self.now
        patient = (self.now - since).total_seconds() < self.timing.confirm_s
        names = ", ".join(self._lagging(memory)) or "no router"
        text = f"{names}: not taken what was written at {since.isoformat(timespec='seconds')}"
        wake = _SOON_S if patient else _LATER_S
        return self._move(memory, ROUTER, Hold.ROUTER_UNCONFIRMED, text, wake, goal)

    def _write(self, memory: Memory, wanted: Configuration, goal: Split | None = None) -> Move:
        return self._unconfirmed(self._with(memory.state, wanted, memory), goal)

    def _with(
        self, state: State, wanted: Configuration | None, memory: Memory | None = None
    ) -> Memory:
        """Return the memory in a state, with a configuration written now if it is another one."""
        memory = memory or self.memory
        if memory.state is not state:
            memory = dataclasses.replace(memory, state=state, since=self.now)
        if wanted is None or wanted == memory.configuration:
            return memory
        return dataclasses.replace(
            memory, configuration=wanted, written_at=self.now, confirmed_at=None
        )

    def _since(self, state: State) -> dt.datetime:
        return self.memory.since if self.memory.state is state else self.now

    def _move(
        self,
        memory: Memory,
        select: str,
        hold: Hold | None,
        message: str,
        wake_s: float | None,
        goal: Split | None = None,
        *,
        live: bool = False,
    ) -> Move:
        written = memory.configuration.split if memory.configuration else None
        coming = goal or self.want.split
        splits = [each for each in (written, coming) if each is not None]
        return Move(
            memory=memory,
            select=select,
            configuration=memory.configuration,
            floors=self._floors(memory, splits),
            live=live,
            hold=hold,
            message=message,
            wake_s=wake_s,
        )


def _observed(view: View, now: dt.datetime) -> Memory:
    """Return the memory, set right by what the address really selects."""
    memory = view.memory
    if view.selected is None:  # somebody removed the Service: it is made again as it was
        return memory
    routed = view.selected == ROUTER
    state = memory.state
    if routed and state in (State.DIRECT, State.STARTING):
        state = State.SETTLING
    elif routed and state is State.DRAINING:
        state = State.SPLIT
    elif not routed and state in (State.SETTLING, State.SPLIT):
        state = State.STARTING if view.want.router else State.DRAINING
    return memory if state is memory.state else dataclasses.replace(memory, state=state, since=now)


def _counted(memory: Memory, view: View) -> Memory:
    """Return the memory with the replicas that a change starts from; none at rest.

    A router that is always there has no floor of its own: only while something moves.
    """
    want = view.want
    written = None if memory.configuration is None else memory.configuration.split
    arms = [want.stable.key] if written is None else [arm.key for arm in written.arms]
    at_rest = want.split is None and arms == [want.stable.key]
    if at_rest and memory.at_start:
        return dataclasses.replace(memory, at_start=0)
    if not at_rest and not memory.at_start:
        start = max(view.replicas.get(arms[0], 0), want.least)
        return dataclasses.replace(memory, at_start=start)
    return memory
