"""Whatever happens around it, in whatever order: what must never be, is not."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fairlead_operator.experiment import memory as memory_module
from fairlead_operator.experiment import target
from fairlead_operator.experiment.memory import SPLITTING, Phase, slots_of
from fairlead_operator.traffic import slots
from tests.searching import searches
from tests.unit.experiment.world import NOW, World, a_member, counted, later, requests, three_arms

EVENTS = st.lists(
    st.sampled_from(
        [
            ("arm", True), ("arm", False), ("target", True), ("target", False),
            ("recorder", True), ("recorder", False), ("live", True), ("live", False),
            ("weights", (98, 1, 1)), ("weights", (34, 33, 33)), ("weights", (50, 0, 50)),
            ("counts", "even"), ("counts", "better"), ("counts", "lost"), ("counts", None),
            ("errors", 0), ("errors", 300), ("time", 60), ("time", 400), ("time", 1_000_000),
            ("revision", "new"), ("stopped", True), ("pass", 3),
        ]
    ),
    max_size=25,
)  # fmt: skip
STARTING: list[tuple[str, Any]] = [("live", True), ("pass", 4)]
COUNTS = {
    "even": {"control": (9000, 900), "bigger": (9010, 901), "small": (9003, 905)},
    "better": {"control": (9000, 900), "bigger": (9010, 1300), "small": (9003, 905)},
    "lost": {"control": (9000, 900), "bigger": (8000, 800), "small": (9003, 905)},
}


class Life:
    """A world to which things happen."""

    def __init__(self) -> None:
        self.world = World(
            variants=three_arms(34, 33, 33), guardrails=[{"metric": "error", "maxBasisPoints": 100}]
        )
        self.world.live = False
        self.seconds = 0.0
        self.arms: tuple[str, ...] = ()

    def happens(self, what: str, how: Any) -> None:
        world = self.world
        match what:
            case "arm":
                world.members["ranker-large"] = a_member("ranker-large", ready=how)
            case "revision":
                world.members["ranker-small"] = a_member("ranker-small", revision=how)
            case "target":
                world.members.pop("ranker", None)
                if how:
                    world.members["ranker"] = a_member("ranker")
            case "recorder":
                world.registered = how
            case "live":
                world.live = how
            case "weights":
                world.weights(*how)
            case "counts":
                even = [dict.fromkeys(("control", "bigger", "small"), 3333)]
                world.aggregates = counted(COUNTS[how], staying=even) if how else None
            case _:
                self.goes_on(what, how)
        for _ in range(how if what == "pass" else 1):
            self.seconds += 1
            self.check()

    def goes_on(self, what: str, how: Any) -> None:
        world = self.world
        match what:
            case "errors":
                world.windows = (
                    requests(
                        NOW, later(seconds=self.seconds),
                        control=(1000, 0), bigger=(1000, how), small=(1000, 0),
                    ),
                )  # fmt: skip
            case "time":
                self.seconds += how
            case "stopped":
                world.spec["stopped"] = True

    def check(self) -> None:
        before = memory_module.from_status(self.world.status)
        decision = self.world.step(later(seconds=self.seconds))
        memory = decision.memory
        assert memory_module.from_status(self.world.status) == memory
        assert (decision.wake_s is None) == (memory.ended is not None and not memory.split) or (
            decision.phase is Phase.STOPPED
        )
        if memory.table:
            slots.validate(memory.table)
            if memory.arms:
                assert slots_of(memory.table, memory.names) == memory.epochs[-1].slots
            numbers = [epoch.number for epoch in memory.epochs]
            assert numbers == sorted(set(numbers))
        if memory.started_at is not None:
            # Who runs, and who has a verdict, splits; who is stopped does not.
            assert memory.split == (decision.phase in SPLITTING)
            assert before.started_at in (None, memory.started_at)
            assert tuple(arm.revision for arm in memory.arms) == (
                self.arms or tuple(arm.revision for arm in memory.arms)
            )
            self.arms = tuple(arm.revision for arm in memory.arms)
        if before.ended is not None:
            assert memory.ended in (before.ended, *_STOPS)
            assert memory.winner == before.winner
            if not before.split:
                assert memory == before
        split = target.wanted_split("ranker", [self.world.resource])
        assert (split is not None) == memory.split


_STOPS = ("Stopped", "GuardrailBreached", "ArmUnavailable")


@searches(120)
@given(EVENTS, EVENTS)
def test_an_experiment_keeps_its_promises_in_any_life(
    first: list[tuple[str, Any]], then: list[tuple[str, Any]]
) -> None:
    life = Life()
    for what, how in (*first, *STARTING, *then):
        life.happens(what, how)
