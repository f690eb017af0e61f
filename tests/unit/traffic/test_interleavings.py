"""Whatever happens in whatever order, an address keeps its promises and ends where it should."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fairlead_operator.traffic import documents
from fairlead_operator.traffic.documents import Configuration, Versions
from fairlead_operator.traffic.split import Arm, only
from fairlead_operator.traffic.states import ROUTER, Move, State, Want
from fairlead_operator.traffic.weights import replicas_needed
from tests.unit.traffic import world as w
from tests.unit.traffic.world import CANDIDATE, OTHER, SETTINGS, STABLE, World

SHARES = st.sampled_from([0, 100, 1_000, 5_000, 10_000])


class Address(RuleBasedStateMachine):
    """Passes, whole and cut off, among everything that may happen meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(w.a_want())

    @rule(until=st.integers(0, 3))
    def one_pass(self, until: int) -> None:
        world = self.world
        before = world.view
        move = world.decide()
        assert move == world.decide(), "the same view gives the same decision"
        self._check(before.selected, move)
        world.act(until=until)

    def _check(self, selected: str | None, move: Move) -> None:
        world = self.world
        if move.select == ROUTER:
            assert any(world.ready_routers.values()), "the address selects nobody"
            assert move.configuration is not None
        if move.select == ROUTER and selected != ROUTER:
            base = self._versions(move.configuration)
            assert all(each == base for each in world.live.values())
            assert move.configuration is not None
            assert move.configuration.split.counts[STABLE.name] == 10_000
        assert move.wake_s is not None or (move.live and move.hold is None)
        assert move.hold is None or move.message
        assert move.wake_s is None or 0 <= move.wake_s <= 120
        if move.live and move.memory.state is State.SPLIT:
            assert move.configuration is not None
            documents.files(move.configuration, SETTINGS)
        if world.written is not None and move.configuration is not None:
            self._check_growth(world.written, move)

    def _check_growth(self, written: Configuration, move: Move) -> None:
        assert move.configuration is not None
        old, new = written.split, move.configuration.split
        had = {arm.key: old.counts[arm.name] for arm in old.arms}
        for arm in new.arms:
            share = new.counts[arm.name]
            if arm.key in (old.control.key, STABLE.key) or share <= had.get(arm.key, 0):
                continue
            remembered = self.world.memory.configuration
            if remembered is not None and remembered.split == new:
                continue  # decided by an earlier pass that was cut off
            need = replicas_needed(least=1, at_start=move.memory.at_start, slots=share, mirrored=0)
            assert self.world.ready[arm.key] >= need, "weight before capacity"
            assert arm in written.arms, "a route before its cluster"

    @rule(share=SHARES, candidate=st.sampled_from([CANDIDATE, OTHER]), always=st.booleans())
    def a_split_is_wanted(self, share: int, candidate: Arm, always: bool) -> None:
        split = w.a_split(share, candidate=candidate)
        self.world.want = Want(stable=STABLE, split=split, always=always)

    @rule(salt=st.sampled_from(["s", "t"]), share=SHARES)
    def another_experiment_is_wanted(self, salt: str, share: int) -> None:
        self.world.want = Want(stable=STABLE, split=w.a_split(share, salt=salt))

    @rule(always=st.booleans())
    def no_split_is_wanted(self, always: bool) -> None:
        self.world.want = Want(stable=STABLE, always=always)

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 60.0, 200.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.wait(seconds)

    @rule()
    def everything_does_its_work(self) -> None:
        self.world.cooperate()

    @precondition(lambda self: self.world.live)
    @rule(data=st.data(), ready=st.booleans())
    def a_router_changes(self, data: st.DataObject, ready: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.world.live)))
        self.world.ready_routers[name] = ready

    @precondition(lambda self: self.world.live)
    @rule(data=st.data())
    def a_router_is_replaced(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.world.live)))
        self.world.live[name] = None
        self.world.ready_routers[name] = False

    @rule(key=st.sampled_from([STABLE.key, CANDIDATE.key, OTHER.key]), ready=st.integers(0, 4))
    def pods_come_and_go(self, key: str, ready: int) -> None:
        self.world.ready[key] = ready

    @rule(connections=st.integers(0, 3))
    def clients_come_and_go(self, connections: int) -> None:
        self.world.connections = connections

    @invariant()
    def left_alone_it_ends_where_it_should(self) -> None:
        """Try it on a copy at every point."""
        copy = World(self.world.want)
        for name, value in vars(self.world).items():
            setattr(copy, name, value.copy() if isinstance(value, dict) else value)
        copy.moves = []
        move = copy.rest()
        want = copy.want
        if not want.router:
            assert (move.select, move.configuration) == (STABLE.key, None)
            return
        assert move.select == ROUTER
        assert move.configuration == documents.of(want.split or only(STABLE))

    @staticmethod
    def _versions(configuration: Configuration | None) -> Versions | None:
        return None if configuration is None else documents.versions(configuration, SETTINGS)


Address.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestAddress = Address.TestCase
